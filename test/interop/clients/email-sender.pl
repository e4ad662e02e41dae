#!/usr/bin/perl
use v5.30;
use warnings;
use Email::Sender::Simple qw(sendmail);
use Email::Sender::Transport::SMTP;

open my $file, '<', $ENV{MESSAGE} or die $!;
my $message = do { local $/; <$file> };
my $transport = Email::Sender::Transport::SMTP->new(
    hosts         => [$ENV{HOST}],
    port          => $ENV{PORT},
    ssl           => $ENV{TLS} eq 'implicit' ? 'ssl' : 'starttls',
    ssl_options   => { SSL_ca_file => $ENV{CA}, SSL_verify_mode => 1 },
    sasl_username => $ENV{LOGIN},
    sasl_password => $ENV{PASSWORD},
);
sendmail($message, { transport => $transport, from => $ENV{SENDER}, to => $ENV{RECIPIENT} });

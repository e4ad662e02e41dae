#!/usr/bin/perl
use v5.30;
use warnings;
use Authen::SASL;
use Net::SMTP;

my %tls = (SSL_ca_file => $ENV{CA}, SSL_verify_mode => 1);
my $implicit = $ENV{TLS} eq 'implicit';
my $smtp = Net::SMTP->new($ENV{HOST}, Port => $ENV{PORT}, SSL => $implicit, %tls) or die "connect: $@\n";
$implicit or $smtp->starttls(%tls) or die 'STARTTLS: ', $smtp->message, $@;
my $sasl = Authen::SASL->new(
    mechanism => $ENV{MECHANISM},
    callback  => { user => $ENV{LOGIN}, pass => $ENV{PASSWORD}, authname => '' },
);
$smtp->auth($sasl) or die 'AUTH: ', $smtp->message;
$smtp->mail($ENV{SENDER}) or die 'MAIL: ', $smtp->message;
$smtp->to($ENV{RECIPIENT}) or die 'RCPT: ', $smtp->message;
open my $message, '<', $ENV{MESSAGE} or die $!;
$smtp->data([<$message>]) or die 'DATA: ', $smtp->message;
$smtp->quit;

#!/usr/bin/php
<?php
// Symfony tries LOGIN, PLAIN and XOAUTH2 in this order, each with the same secret.
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport\Smtp\EsmtpTransport;
use Symfony\Component\Mime\Email;

$transport = new EsmtpTransport(getenv('HOST'), (int) getenv('PORT'), getenv('TLS') === 'implicit');
$transport->getStream()->setStreamOptions(['ssl' => ['cafile' => getenv('CA')]]);
$transport->setUsername(getenv('LOGIN'));
$transport->setPassword(getenv(getenv('MECHANISM') === 'XOAUTH2' ? 'TOKEN' : 'PASSWORD'));
(new Mailer($transport))->send((new Email())
    ->from(getenv('SENDER'))
    ->to(getenv('RECIPIENT'))
    ->subject(getenv('SUBJECT'))
    ->text(file_get_contents(getenv('BODY'))));

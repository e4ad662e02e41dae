#!/usr/bin/php
<?php
// Symfony tries LOGIN, PLAIN and XOAUTH2 in this order, each with the same secret. This version
// cannot be told to try PLAIN alone.
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';

use Symfony\Component\Mailer\Mailer;
use Symfony\Component\Mailer\Transport\Smtp\Auth\PlainAuthenticator;
use Symfony\Component\Mailer\Transport\Smtp\EsmtpTransport;
use Symfony\Component\Mime\Email;

$transport = new EsmtpTransport(getenv('HOST'), (int) getenv('PORT'), getenv('TLS') === 'implicit');
$transport->getStream()->setStreamOptions(['ssl' => ['cafile' => getenv('CA')]]);
$transport->setUsername(getenv('LOGIN'));
$transport->setPassword(getenv(getenv('MECHANISM') === 'XOAUTH2' ? 'TOKEN' : 'PASSWORD'));
if (getenv('MECHANISM') === 'PLAIN') {
    $authenticators = new ReflectionProperty($transport, 'authenticators');
    $authenticators->setAccessible(true);
    $authenticators->setValue($transport, [new PlainAuthenticator()]);
}
(new Mailer($transport))->send((new Email())
    ->from(getenv('SENDER'))
    ->to(getenv('RECIPIENT'))
    ->subject(getenv('SUBJECT'))
    ->text(file_get_contents(getenv('BODY'))));

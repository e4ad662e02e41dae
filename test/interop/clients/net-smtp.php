#!/usr/bin/php
<?php
require 'Net/SMTP.php';

function check($result)
{
    if (PEAR::isError($result)) {
        fwrite(STDERR, $result->getMessage() . "\n");
        exit(1);
    }
}

$implicit = getenv('TLS') === 'implicit';
$secret = getenv('MECHANISM') === 'XOAUTH2' ? 'Bearer ' . getenv('TOKEN') : getenv('PASSWORD');
$options = ['ssl' => ['cafile' => getenv('CA'), 'verify_peer' => true, 'verify_peer_name' => true]];
$smtp = new Net_SMTP(($implicit ? 'ssl://' : '') . getenv('HOST'), (int) getenv('PORT'), 'localhost', false, 0, $options);
check($smtp->connect(30));
check($smtp->auth(getenv('LOGIN'), $secret, getenv('MECHANISM'), !$implicit));
check($smtp->mailFrom(getenv('SENDER')));
check($smtp->rcptTo(getenv('RECIPIENT')));
check($smtp->data(file_get_contents(getenv('MESSAGE'))));
$smtp->disconnect();

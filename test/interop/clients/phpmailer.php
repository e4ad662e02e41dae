#!/usr/bin/php
<?php
require '/usr/share/php/libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\OAuthTokenProvider;
use PHPMailer\PHPMailer\PHPMailer;

class Token implements OAuthTokenProvider
{
    public function getOauth64()
    {
        return base64_encode('user=' . getenv('LOGIN') . "\1auth=Bearer " . getenv('TOKEN') . "\1\1");
    }
}

$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = getenv('HOST');
$mail->Port = getenv('PORT');
$mail->SMTPSecure = getenv('TLS') === 'implicit' ? PHPMailer::ENCRYPTION_SMTPS : PHPMailer::ENCRYPTION_STARTTLS;
$mail->SMTPOptions = ['ssl' => ['cafile' => getenv('CA')]];
$mail->SMTPAuth = true;
$mail->AuthType = getenv('MECHANISM');
$mail->Username = getenv('LOGIN');
$mail->Password = getenv('PASSWORD');
$mail->setOAuth(new Token());
$mail->setFrom(getenv('SENDER'));
$mail->addAddress(getenv('RECIPIENT'));
$mail->Subject = getenv('SUBJECT');
$mail->Body = file_get_contents(getenv('BODY'));
$mail->send();

"""Sends a message through a relay of MailRelay, on port 587. It has no password: it logs in
with the token that Kubernetes gives its pod."""

import email.message
import email.utils
import pathlib
import smtplib
import socket
import ssl
import sys
import time

# Where app.yaml mounts the Secret of the RelayUser, and the token.
BINDING = pathlib.Path("/bindings/mail")
TOKEN = pathlib.Path("/var/run/secrets/mailrelay/token")
# Seconds to wait for a reply; the one to the whole message may take longer (RFC 5321 §4.5.3.2.6),
# and an app that does not wait for it sends the message twice.
TIMEOUT, END_TIMEOUT = 60, 600


def binding(key):
    return (BINDING / key).read_text().strip()


def xoauth2(challenge=None):
    """SASL XOAUTH2. The token is read anew for each login, since Kubernetes replaces it."""
    if challenge is not None:  # It says as JSON why the token is refused; this answer brings the reply.
        return ""
    return f"user={binding('username')}\1auth=Bearer {TOKEN.read_text().strip()}\1\1"


def send(message):
    context = ssl.create_default_context(cadata=binding("certificates"))
    with smtplib.SMTP(binding("host"), int(binding("submission-port")), timeout=TIMEOUT) as client:
        client.starttls(context=context)
        client.ehlo()
        client.auth("XOAUTH2", xoauth2)
        client.sock.settimeout(END_TIMEOUT)
        client.send_message(message)


def temporary(error):
    """Whether to try again: a reply below 500 says so, and a connection can fail."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < 500
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code < 500 for code, _ in error.recipients.values())
    return isinstance(error, (smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError, socket.gaierror))


def compose(sender, recipient, subject):
    """The message, once: one that arrives twice after all is known by its Message-ID."""
    message = email.message.EmailMessage()  # It encodes what it is given, and takes no line ends.
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=message["From"].addresses[0].domain)
    message.set_content("Hello.\n")
    return message


def main(sender, recipient, subject):
    message = compose(sender, recipient, subject)
    pause = 1
    while True:
        try:
            return send(message)
        except OSError as error:  # SMTPException is one.
            if not temporary(error) or pause > 60:
                raise
            print(f"trying again in {pause} s: {error}", file=sys.stderr)
        time.sleep(pause)
        pause *= 2


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/python3 -P
# Django chooses the mechanism itself, and has no setting for a CA: it takes the default ones, when
# it checks certificates.
import os

env = os.environ
os.environ["SSL_CERT_FILE"] = env["CA"]

from django.conf import settings
from django.core.mail import send_mail

settings.configure(
    EMAIL_HOST=env["HOST"],
    EMAIL_PORT=int(env["PORT"]),
    EMAIL_USE_SSL=env["TLS"] == "implicit",
    EMAIL_USE_TLS=env["TLS"] == "starttls",
    EMAIL_HOST_USER=env["LOGIN"],
    EMAIL_HOST_PASSWORD=env["PASSWORD"],
    USE_I18N=False,
)
with open(env["BODY"]) as body:
    send_mail(env["SUBJECT"], body.read(), env["SENDER"], [env["RECIPIENT"]])

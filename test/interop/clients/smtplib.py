#!/usr/bin/python3 -P
import os
import smtplib
import ssl

env = os.environ
user, password, token = env["LOGIN"], env["PASSWORD"], env["TOKEN"]
context = ssl.create_default_context(cafile=env["CA"])
if env["TLS"] == "implicit":
    client = smtplib.SMTP_SSL(env["HOST"], int(env["PORT"]), context=context)
else:
    client = smtplib.SMTP(env["HOST"], int(env["PORT"]))
    client.starttls(context=context)
client.ehlo()
client.user, client.password = user, password
responses = {
    "PLAIN": client.auth_plain,
    "LOGIN": client.auth_login,
    "XOAUTH2": lambda challenge=None: f"user={user}\1auth=Bearer {token}\1\1",
    "OAUTHBEARER": lambda challenge=None: f"n,a={user},\1auth=Bearer {token}\1\1",
}
client.auth(env["MECHANISM"], responses[env["MECHANISM"]])
with open(env["MESSAGE"]) as message:
    client.sendmail(env["SENDER"], [env["RECIPIENT"]], message.read())
client.quit()

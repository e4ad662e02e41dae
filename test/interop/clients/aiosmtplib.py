#!/usr/bin/python3 -P
import asyncio
import os
import ssl

import aiosmtplib

env = os.environ


async def main():
    context = ssl.create_default_context(cafile=env["CA"])
    implicit = env["TLS"] == "implicit"
    client = aiosmtplib.SMTP(
        env["HOST"], int(env["PORT"]), use_tls=implicit, start_tls=not implicit, tls_context=context
    )
    await client.connect()
    await client.ehlo()
    login = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[env["MECHANISM"]]
    await login(env["LOGIN"], env["PASSWORD"])
    with open(env["MESSAGE"]) as message:
        await client.sendmail(env["SENDER"], [env["RECIPIENT"]], message.read())
    await client.quit()


asyncio.run(main())

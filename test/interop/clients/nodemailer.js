#!/usr/bin/env node
const fs = require('fs');
const nodemailer = require('nodemailer');
const env = process.env;

const oauth = env.MECHANISM === 'XOAUTH2';
const transport = nodemailer.createTransport({
  host: env.HOST,
  port: Number(env.PORT),
  secure: env.TLS === 'implicit',
  requireTLS: true,
  tls: { ca: fs.readFileSync(env.CA) },
  authMethod: env.MECHANISM,
  auth: oauth
    ? { type: 'OAuth2', user: env.LOGIN, accessToken: env.TOKEN }
    : { user: env.LOGIN, pass: env.PASSWORD },
});
transport
  .sendMail({ from: env.SENDER, to: env.RECIPIENT, subject: env.SUBJECT, text: fs.readFileSync(env.BODY, 'utf8') })
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });

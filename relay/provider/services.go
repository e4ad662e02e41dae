package provider

// services send the mail of programs.
var services = []Provider{
	{
		Name: "ses", Title: "Amazon SES",
		HostExample: "email-smtp.REGION.amazonaws.com", Implicit: 465, StartTLS: 587,
		Login:           "SMTP credentials made in the SES console; the keys of an IAM user are not accepted",
		Setup:           "host is that of your region; verify every sender domain or address, and leave the sandbox to send to anybody",
		Limits:          Limits{RecipientsPerMessage: 50},
		UnsignedHeaders: []string{"Date", "Message-ID"},
		Rules: []Rule{
			{Code: 454, Text: "THROTTLING", Class: throttle},
			{Code: 454, Text: "QUOTA", Class: throttle},
			{Code: 554, Text: "NOT VERIFIED", Class: sender, Temporary: true},
			// The policy of the login lets it send as some identities only.
			{Code: 554, Text: "NOT AUTHORIZED TO PERFORM `SES:SENDRAWEMAIL", Class: sender, Temporary: true},
		},
		Unconfirmed: "the AUTH mechanisms; the bound of 50 recipients is that of an older page of Amazon's. Rate and daily quota are those of your account: set limits.rates",
	},
	{
		Name: "sendgrid", Title: "Twilio SendGrid",
		Host: "smtp.sendgrid.net", Implicit: 465, StartTLS: 587,
		Login: "user name `apikey`, as it is written here; the password is an API key that may send mail",
		Setup: "verify the sender domain or each sender address (sender identity)",
		Rules: []Rule{
			{Step: auth, Code: 451, Text: "CREDITS EXCEEDED", Class: throttle},
			{Step: auth, Code: 451, Text: "AUTHENTICATION FAILED", Class: authentication},
			{Code: 550, Text: "VERIFIED SENDER IDENTITY", Class: sender, Temporary: true},
			{Code: 550, Text: "UNAUTHENTICATED SENDERS", Class: authentication, Temporary: true},
		},
		Unconfirmed: "how many connections there may be at once",
	},
	mailgun("mailgun", "Mailgun (US)", "smtp.mailgun.org"),
	mailgun("mailgun-eu", "Mailgun (EU)", "smtp.eu.mailgun.org"),
	{
		Name: "postmark", Title: "Postmark",
		Host: "smtp.postmarkapp.com", StartTLS: 587,
		Login:  "the server API token, as user name and as password",
		Setup:  "confirm the sender domain or each sender address (sender signature); for a broadcast stream set host to smtp-broadcasts.postmarkapp.com",
		Limits: Limits{RecipientsPerMessage: 50},
		Rules: []Rule{
			{Code: 5, Text: "SENDER SIGNATURE", Class: sender, Temporary: true},
			{Code: 5, Text: "MARKED AS INACTIVE", Class: recipient},
		},
		Unconfirmed: "that SMTP gives the texts of the API for senders that are not confirmed and for inactive recipients; it may take such messages and tell only its own log",
	},
	{
		Name: "brevo", Title: "Brevo",
		Host: "smtp-relay.brevo.com", Implicit: 465, StartTLS: 587,
		Login: "the SMTP login and an SMTP key; a key of the API is another one",
		Setup: "have SMTP activated for the account, authenticate the sender domain, and let the cluster's addresses in where the account restricts them",
		Rules: []Rule{
			{Code: 502, Text: "NOT YET ACTIVATED", Class: authentication, Temporary: true},
			{Code: 502, Text: "AUTHENTICATE FIRST", Class: authentication, Temporary: true},
		},
		Unconfirmed: "the size limit, what it replies above the quota (300 messages a day on the free plan) and to senders that are not verified. One user reports that some accounts need the mechanism LOGIN",
	},
	{
		Name: "mailjet", Title: "Mailjet",
		Host: "in-v3.mailjet.com", Implicit: 465, StartTLS: 587,
		Login:       "API key and secret key",
		Setup:       "validate the sender domain or each sender address",
		Unconfirmed: "port 465, the size limit (15 MB), the rates, and what it replies to senders that are not validated",
	},
	sparkpost("sparkpost", "SparkPost (US)", "smtp.sparkpostmail.com"),
	sparkpost("sparkpost-eu", "SparkPost (EU)", "smtp.eu.sparkpostmail.com"),
}

func mailgun(name, title, host string) Provider {
	return Provider{
		Name: name, Title: title, Host: host, Implicit: 465, StartTLS: 587,
		Login: "the SMTP user of a sending domain and its password",
		Setup: "verify the sending domain; a domain lives in one region, and only that region's preset can log in",
		Rules: []Rule{
			// A new account has a limit, told at any step.
			{Code: 5, Text: "ON PROBATION", Class: throttle, Temporary: true},
			{Code: 421, Text: "NOT ALLOWED TO SEND", Class: throttle},
		},
		Unconfirmed: "the AUTH mechanisms and the rates",
	}
}

func sparkpost(name, title, host string) Provider {
	return Provider{
		Name: name, Title: title, Host: host, StartTLS: 587,
		Mechanism: "LOGIN",
		Login:     "user name `SMTP_Injection`, as it is written here; the password is an API key that may send by SMTP",
		Setup:     "verify the sending domain",
		Limits:    Limits{Connections: 10, MessagesPerConnection: 100},
		Rules: []Rule{
			{Code: 550, Text: "UNCONFIGURED SENDING DOMAIN", Class: sender, Temporary: true},
		},
		Unconfirmed: "the size limit, other mechanisms than LOGIN, and what it replies above the hourly and daily limits of an account",
	}
}

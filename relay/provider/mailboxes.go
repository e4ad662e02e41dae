package provider

import "time"

// mailboxes are providers of mail for people. What they send for a program counts as sent by the
// mailbox that it logs in with.
var mailboxes = []Provider{
	{
		Name: "gmail", Title: "Gmail, or a mailbox of Google Workspace",
		Host: "smtp.gmail.com", Implicit: 465, StartTLS: 587,
		Login:       "the address with an app password, or OAuth2; the account's own password is not accepted",
		Setup:       "senders other than the mailbox have to be its confirmed aliases (\"send mail as\")",
		Limits:      Limits{RecipientsPerMessage: 100},
		Rules:       google,
		Unconfirmed: "the size limit (25 MB). A mailbox may send to 500 recipients a day, one of Workspace to 2,000: set limits.rates",
	},
	{
		Name: "workspace-relay", Title: "Google Workspace SMTP relay",
		Host: "smtp-relay.gmail.com", Implicit: 465, StartTLS: 587,
		Login:       "an address with an app password, or no login at all where the service knows the cluster's address",
		Setup:       "turn on the SMTP relay service in the Admin console. EHLO has to give a name of your own: the relay gives its in-cluster name, never localhost",
		Limits:      Limits{RecipientsPerMessage: 100},
		Rules:       google,
		Unconfirmed: "the size limit. A user may send 10,000 messages a day",
	},
	{
		Name: "microsoft-365", Title: "Microsoft 365 (Exchange Online)",
		Host: "smtp.office365.com", StartTLS: 587,
		Login: "OAuth2, mechanism XOAUTH2; user name and password where the organisation still has basic authentication, which new ones do not have and which is off by default from the end of 2026",
		Setup: "turn on Authenticated SMTP for the mailbox; senders other than the mailbox need the permission Send As",
		Limits: Limits{
			Connections: 3,
			Rates:       []Rate{{Messages: 30, Period: time.Minute}, {Recipients: 10_000, Period: 24 * time.Hour}},
		},
		Rules: []Rule{
			{Code: 554, Enhanced: "2.252", Class: sender, Temporary: true},
			{Code: 554, Text: "SENDASDENIED", Class: sender, Temporary: true},
			{Code: 550, Enhanced: "7.60", Class: sender, Temporary: true},
			{Code: 554, Text: "SUBMISSIONQUOTAEXCEEDED", Class: throttle, Temporary: true},
			// The mailbox that sends is full, since it keeps what it has sent.
			{Code: 554, Enhanced: "2.2", Text: "QUOTAEXCEEDED", Class: sender, Temporary: true},
			{Code: 550, Enhanced: "7.30", Class: authentication, Temporary: true},
		},
		Unconfirmed: "the largest size (up to 150 MB by configuration)",
	},
	{
		Name: "zoho", Title: "Zoho Mail",
		HostExample: "smtppro.zoho.eu", Implicit: 465, StartTLS: 587,
		Login: "the address, with an application-specific password where two-factor authentication is on",
		Setup: "host is smtp.zoho.com for a personal account and smtppro.zoho.com for one of an organisation, with the ending of your data centre (.eu, .in, .com.au, .jp); the sender has to be the mailbox or an alias of it",
		Rules: []Rule{
			{Code: 553, Text: "RELAYING DISALLOWED", Class: sender, Temporary: true},
			{Code: 550, Enhanced: "4.6", Class: throttle, Temporary: true},
			{Code: 554, Enhanced: "1.8", Class: sender, Temporary: true},
		},
		Unconfirmed: "the limits: sources name 150 to 500 messages a day for free accounts",
	},
	{
		Name: "fastmail", Title: "Fastmail",
		Host: "smtp.fastmail.com", Implicit: 465, StartTLS: 587,
		Login:       "the address with an app password; the account's own password is not accepted",
		Setup:       "senders have to be addresses of the account",
		Unconfirmed: "the size limit, the rates, and what it replies to other senders",
	},
	{
		Name: "yahoo", Title: "Yahoo Mail",
		Host: "smtp.mail.yahoo.com", Implicit: 465, StartTLS: 587,
		Login:  "the address with an app password",
		Setup:  "the sender has to be the mailbox",
		Limits: Limits{RecipientsPerMessage: 100},
		Rules: []Rule{
			// Said of recipients it comes at RCPT; at the end of data it is the sender, or spam.
			{Step: endOfData, Code: 550, Text: "REQUEST FAILED; MAILBOX UNAVAILABLE", Class: sender, Temporary: true},
		},
		Unconfirmed: "port 587, the size limit; 100 recipients a message and 500 a day are said of its small business accounts",
	},
	{
		Name: "icloud", Title: "iCloud Mail",
		Host: "smtp.mail.me.com", StartTLS: 587,
		Login: "the iCloud address with an app-specific password",
		Setup: "the sender has to be the mailbox or an alias of it",
		Limits: Limits{
			Rates: []Rate{{Messages: 1000, Period: 24 * time.Hour}, {Recipients: 1000, Period: 24 * time.Hour}},
		},
		Rules: []Rule{
			{Code: 5, Text: "NOT ONE OF YOUR ADDRESSES", Class: sender, Temporary: true},
			{Code: 550, Text: "EXCEEDED YOUR DAILY SENDING LIMIT", Class: throttle, Temporary: true},
		},
		Unconfirmed: "port 465: Apple documents 587 only, some report that 465 answers",
	},
}

// google are the rules of both of Google's servers.
var google = []Rule{
	// The server wants another name in EHLO. To wait and try again does not give it one, so it
	// has to show as an upstream that cannot be used.
	{Step: ehlo, Code: 421, Text: "(EHLO)", Class: connect},
	{Code: 550, Text: "RELAY LIMIT EXCEEDED", Class: throttle, Temporary: true},
	{Code: 450, Enhanced: "2.1", Text: "RECEIVING MAIL", Class: recipient},
	{Code: 450, Enhanced: "2.1", Class: throttle},
	{Code: 550, Text: "MAIL RELAY DENIED", Class: sender, Temporary: true},
	{Code: 550, Text: "INVALID CREDENTIALS FOR RELAY", Class: sender, Temporary: true},
}

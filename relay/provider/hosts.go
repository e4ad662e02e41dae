package provider

import "time"

// hosts rent out servers that take mail, each customer has one.
var hosts = []Provider{
	{
		Name: "sakura", Title: "Sakura Internet rental server",
		HostExample: "example.sakura.ne.jp", StartTLS: 587,
		Login:       "a mail address of the server and its password",
		Setup:       "host is the server's initial domain; From and Return-Path have to be the same",
		Limits:      Limits{Rates: []Rate{{Messages: 100, Period: 15 * time.Minute}}},
		Unconfirmed: "STARTTLS on port 587, port 465, the AUTH mechanisms and the size limit. About 100 messages in 15 minutes are what Sakura answered in 2020 for Lite, Standard and Premium; 250 for Business, 600 for Managed: set limits.rates",
	},
	{
		Name: "xserver", Title: "Xserver rental server",
		HostExample: "sv12345.xserver.jp", Implicit: 465, StartTLS: 587,
		Login: "a mail address of the server and its password",
		Setup: "host is that of your server, as the server panel shows it",
		Limits: Limits{
			Rates: []Rate{{Messages: 1500, Period: time.Hour}, {Messages: 15_000, Period: 24 * time.Hour}},
		},
		Unconfirmed: "the AUTH mechanisms and the size limit (30 MB on a sister brand)",
	},
}

package provider

// providers are those that there is a preset for.
var providers = []Provider{
	{
		Name: "ses", Title: "Amazon SES", HostExample: "email-smtp.REGION.amazonaws.com",
		Implicit: 465, StartTLS: 587,
		Limits:          Limits{RecipientsPerMessage: 50},
		UnsignedHeaders: []string{"Date", "Message-ID"},
		Rules: []Rule{
			{Code: 454, Text: "THROTTLING", Class: throttle},
			{Code: 454, Text: "QUOTA", Class: throttle},
			{Code: 554, Text: "NOT VERIFIED", Class: sender, Temporary: true},
		},
	},
}

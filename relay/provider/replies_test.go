package provider

import (
	"strconv"
	"strings"
	"testing"
)

// replies are what servers of providers have been seen to say, less what differs from customer to
// customer, and what is to be made of it.
var replies = []struct {
	provider, step, reply string
	class                 string
	temporary             bool
}{
	{"ses", greeting, "421 Too many concurrent SMTP connections", throttle, true},
	{"ses", auth, "535 Authentication Credentials Invalid", authentication, true},
	{"ses", endOfData, "454 Throttling failure: Maximum sending rate exceeded.", throttle, true},
	{"ses", endOfData, "454 Throttling failure: Daily message quota exceeded.", throttle, true},
	{"ses", endOfData, "454 4.3.0 Daily message quota exceeded", throttle, true},
	{"ses", endOfData, "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: app@example.com", sender, true},
	{"ses", endOfData, "554 Access denied: User `arn:aws:iam::000000000000:user/mail' is not authorized to perform `ses:SendRawEmail' on resource `arn:aws:ses:eu-west-1:000000000000:identity/example.com'", sender, true},
	{"ses", endOfData, "554 Transaction failed: Local address contains control or whitespace", message, false},

	{"sendgrid", auth, "451 Authentication failed: Maximum credits exceeded", throttle, true},
	{"sendgrid", auth, "451 Authentication failed: Could not authenticate", authentication, true},
	{"sendgrid", auth, "535 Authentication failed: The provided authorization grant is invalid, expired, or revoked", authentication, true},
	{"sendgrid", endOfData, "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.", sender, true},
	{"sendgrid", mail, "550 Unauthenticated senders not allowed", authentication, true},

	{"mailgun", auth, "535 5.7.0 Your account is on probation and domains are limited to 100 messages / hour. Account will be enabled in 2081 seconds", throttle, true},
	{"mailgun", data, "554 Your account is on probation and domains are limited to 100 messages / hour. Account will be enabled in 341 seconds", throttle, true},
	{"mailgun", endOfData, "421 Domain example.com is not allowed to send: recipient limit exceeded, try again after Sun, 05 Oct 2025 19:22:44 UTC", throttle, true},
	{"mailgun-eu", rcpt, "550 5.7.1 Relaying denied", recipient, false},

	{"postmark", endOfData, "550 The 'From' address you supplied is not a Sender Signature on your account.", sender, true},
	{"postmark", endOfData, "550 You tried to send to recipient(s) that have been marked as inactive.", recipient, false},

	{"brevo", mail, "502 5.7.0 Your SMTP account is not yet activated", authentication, true},
	{"brevo", mail, "502 5.7.0 Please authenticate first", authentication, true},
	{"brevo", auth, "535 5.7.0 Invalid login or password", authentication, true},
	{"brevo", ehlo, "501 5.5.4 Invalid domain name", connect, true},

	{"sparkpost", auth, "535 5.7.8 Sorry.", authentication, true},
	{"sparkpost", endOfData, "550 5.7.1 Unconfigured Sending Domain <demo.example.com>", sender, true},
	{"sparkpost-eu", endOfData, "550 5.6.0 JSON parsing error in X-MSYS-API", message, false},

	{"gmail", endOfData, "550 5.4.5 Daily user sending limit exceeded. - gsmtp", throttle, true},
	{"gmail", auth, "535 5.7.8 Username and Password not accepted. - gsmtp", authentication, true},
	{"gmail", auth, "534 5.7.9 Application-specific password required. - gsmtp", authentication, true},
	{"gmail", rcpt, "450 4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time.", recipient, true},
	{"gmail", mail, "421 4.7.0 Temporary System Problem. Try again later. - gsmtp", throttle, true},
	{"workspace-relay", ehlo, "421 4.7.0 Try again later, closing connection. (EHLO) a1-2002sm1 - gsmtp", connect, true},
	{"workspace-relay", data, "550 5.7.1 Daily SMTP relay limit exceeded for customer. For more information on SMTP relay sending limits please contact your administrator", throttle, true},
	{"workspace-relay", mail, "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error.", throttle, true},
	{"workspace-relay", data, "550 5.7.0 Mail relay denied [192.0.2.1]. Email is being sent from a domain or IP address which isn't registered in your G Suite account.", sender, true},
	{"workspace-relay", data, "550 5.7.1 Invalid credentials for relay [192.0.2.1].", sender, true},

	{"microsoft-365", endOfData, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", throttle, true},
	{"microsoft-365", mail, "432 4.3.2 Concurrent connections limit exceeded.", throttle, true},
	{"microsoft-365", mail, "451 4.7.500 Server busy. Please try again later", throttle, true},
	{"microsoft-365", endOfData, "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception", sender, true},
	{"microsoft-365", endOfData, "554 5.2.252 SendAsDenied; app@example.com not allowed to send as boss@example.com; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", sender, true},
	{"microsoft-365", endOfData, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", sender, true},
	{"microsoft-365", endOfData, "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", throttle, true},
	{"microsoft-365", endOfData, "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", sender, true},
	{"microsoft-365", auth, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", authentication, true},
	{"microsoft-365", auth, "535 5.7.3 Authentication unsuccessful", authentication, true},
	{"microsoft-365", mail, "530 5.7.57 Client not authenticated to send mail.", authentication, true},
	{"microsoft-365", mail, "550 5.7.30 Basic authentication is not supported for Client Submission.", authentication, true},

	{"zoho", endOfData, "553 Relaying disallowed as app@example.com", sender, true},
	{"zoho", endOfData, "550 5.4.6 Unusual sending activity detected.", throttle, true},
	{"zoho", mail, "554 5.1.8 Sender Address Blocked", sender, true},
	{"zoho", auth, "535 Authentication Failed", authentication, true},

	{"fastmail", endOfData, "551 5.7.1 Multiple addresses in a From header is not allowed", message, false},

	{"yahoo", endOfData, "550 Request failed; Mailbox unavailable", sender, true},
	{"yahoo", rcpt, "550 Request failed; Mailbox unavailable", recipient, false},

	{"icloud", endOfData, "550 5.7.0 From address is not one of your addresses", sender, true},
	{"icloud", endOfData, "550 5.7.1 app@icloud.com: You have exceeded your daily sending limit. Please try again later.", throttle, true},
}

// firstRule is the rule that decides about a reply.
func firstRule(rules []Rule, step string, code int, enhanced, text string) *Rule {
	for i := range rules {
		if rules[i].Matches(step, code, enhanced, text) {
			return &rules[i]
		}
	}
	return nil
}

func TestRepliesOfProvidersMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, tt := range replies {
		code, enhanced, text := split(t, tt.reply)
		rule := firstRule(Lookup(tt.provider).Rules, tt.step, code, enhanced, text)
		if rule == nil {
			rule = firstRule(Common(), tt.step, code, enhanced, text)
		}
		if temporary := rule.Temporary || code < 500; rule.Class != tt.class || temporary != tt.temporary {
			t.Errorf("%s at %s: %s\nis %s, temporary %v; want %s, %v", tt.provider, tt.step, tt.reply, rule.Class, temporary, tt.class, tt.temporary)
		}
	}
}

// A rule without a reply is a guess.
func TestEveryRuleOfAProviderHasAReply(t *testing.T) {
	t.Parallel()
	used := map[Rule]bool{}
	for _, tt := range replies {
		code, enhanced, text := split(t, tt.reply)
		if rule := firstRule(Lookup(tt.provider).Rules, tt.step, code, enhanced, text); rule != nil {
			used[*rule] = true
		}
	}
	for i := range providers {
		for _, rule := range providers[i].Rules {
			if !used[rule] {
				t.Errorf("%s: no reply is known for %+v", providers[i].Name, rule)
			}
		}
	}
}

// split takes a reply apart as the client does.
func split(t *testing.T, reply string) (code int, enhanced, text string) {
	t.Helper()
	digits, text, _ := strings.Cut(reply, " ")
	code, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatal(err)
	}
	if word, rest, _ := strings.Cut(text, " "); strings.Count(word, ".") == 2 && word[0] == digits[0] && strings.Trim(word, "0123456789.") == "" {
		return code, word, rest
	}
	return code, "", text
}

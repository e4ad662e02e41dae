package readiness

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// UserFacts are what one pass over a RelayUser has found.
type UserFacts struct {
	User *v1alpha1.RelayUser
	// Relay is the name of the MailRelay with its namespace.
	Relay string
	// RelayExists is set when the MailRelay is there and not being deleted.
	RelayExists bool
	// RefusedReason and RefusedMessage say why the relay does not let the user in.
	RefusedReason, RefusedMessage string
	// NotOurs are sentences about objects that have a name we need and are someone else's.
	NotOurs []string
	// Rotating is set while the pods learn of a new password that apps cannot read yet.
	Rotating bool
	// Due are the credentials, with why, that would be replaced if the relay were not paused.
	Due []string
	// RelayPaused is set while nothing of the relay and its users is changed.
	RelayPaused bool
	// CAKnown is set when the relay has a CA for apps to trust.
	CAKnown bool
	// Client tells of a client certificate that is under way; nil when there is nothing to tell.
	Client *ClientCertificate
	// SecretWritten is set when the credentials are in their Secret.
	SecretWritten bool
	// Tokens are those of a user with a service account, nil for others.
	Tokens *Tokens
	// Loaded is set when every ready relay pod has loaded the credentials, or once had.
	Loaded bool
	// LeftOut is set when the relay has no room for the user: FullShard is full.
	LeftOut   bool
	FullShard int
	// SendersRefused are the user's senders whose mail an upstream does not take.
	SendersRefused []config.SenderReport
}

// foreign reports whether the relay belongs to another namespace. What others say there, such as
// its provider or its approval policies, is for its owner: a user's namespace sees that something
// was said, and where.
func (f *UserFacts) foreign() bool { return !strings.HasPrefix(f.Relay, f.User.Namespace+"/") }

// Tokens is what is known of the tokens of service accounts.
type Tokens struct {
	// Verifiable is set when the relay has got keys to verify them with.
	Verifiable bool
	// Problem says why the newest keys cannot be had, and what to do; empty when they can.
	Problem string
}

// RelayUser decides all conditions of a RelayUser.
func RelayUser(facts *UserFacts) []metav1.Condition {
	generation := facts.User.Generation
	return []metav1.Condition{
		userReady.evaluate(facts, generation),
		sendersAccepted.evaluate(facts, generation),
		userReconciling.abnormal(facts, generation),
		userStalled.abnormal(facts, generation),
	}
}

// userReady is true when an app can log in with what the Secret holds.
var userReady = condition[*UserFacts]{
	name: v1alpha1.ConditionReady,
	predicates: []predicate[*UserFacts]{
		relayExists,        // There is something to log in to
		userIsLetIn,        // whose access rules grant this user a sender
		secretNameIsFree,   // No foreign Secret is in the way
		relayHasCA,         // Without a CA the app could not verify the relay
		relayGoesOn,        // A paused one takes up nothing new
		certificateSigned,  // The relay's CA vouches for the app
		credentialsWritten, // The app can read them
		relayHasRoom,       // There is a limit to how many users a relay has
		tokensVerifiable,   // The relay has the keys for tokens
		credentialsLoaded,  // and the relay knows them
	},
	holds: userCanLogIn,
}

// sendersAccepted is false while mail of the user is held since an upstream does not take its
// sender. The user can log in all the same.
var sendersAccepted = condition[*UserFacts]{
	name:       v1alpha1.ConditionSendersAccepted,
	predicates: []predicate[*UserFacts]{sendersAreAccepted},
	holds:      always[*UserFacts]("NoneRefused", "no upstream refuses mail from the user's senders"),
}

// userReconciling is true while the operator works towards spec.
var userReconciling = condition[*UserFacts]{
	name:       v1alpha1.ConditionReconciling,
	predicates: []predicate[*UserFacts]{relayHasCA, certificateIsUnderWay, tokensVerifiable, credentialsLoaded, nextPasswordLoaded},
	holds:      always[*UserFacts]("UpToDate", "nothing is under way"),
}

// userStalled is true when only a change by a person helps.
var userStalled = condition[*UserFacts]{
	name:       v1alpha1.ConditionStalled,
	predicates: []predicate[*UserFacts]{relayExists, userIsLetIn, secretNameIsFree, relayGoesOn, certificateNotRefused, relayHasRoom, rotationGoesOn},
	holds:      always[*UserFacts]("NotStalled", "nothing waits for a person"),
}

func relayExists(f *UserFacts) *finding {
	if f.RelayExists {
		return nil
	}
	return &finding{reason: "RelayMissing", message: fmt.Sprintf(
		"spec.relayRef names MailRelay %s, which does not exist: create it, or make a RelayUser for another; this one goes on by itself", f.Relay)}
}

func userIsLetIn(f *UserFacts) *finding {
	if f.RefusedReason == "" {
		return nil
	}
	return &finding{reason: f.RefusedReason, message: f.RefusedMessage}
}

func secretNameIsFree(f *UserFacts) *finding {
	if len(f.NotOurs) == 0 {
		return nil
	}
	return &finding{reason: "NameTaken", message: strings.Join(f.NotOurs, "; ")}
}

// The two below are no news while something above them does not hold.

func relayHasCA(f *UserFacts) *finding {
	if f.CAKnown || !f.RelayExists || f.RefusedReason != "" {
		return nil
	}
	return &finding{reason: "WaitingForCertificate", message: fmt.Sprintf(
		"MailRelay %s has no certificate yet: see its condition CertificateReady", f.Relay)}
}

func relayGoesOn(f *UserFacts) *finding {
	if !f.RelayPaused || f.SecretWritten && f.Loaded {
		return nil
	}
	return &finding{reason: "RelayPaused", message: fmt.Sprintf(
		"nothing is written while MailRelay %s is paused: this one goes on by itself when its spec.paused is false", f.Relay)}
}

func rotationGoesOn(f *UserFacts) *finding {
	if !f.RelayPaused || len(f.Due) == 0 {
		return nil
	}
	return &finding{reason: "RelayPaused", message: fmt.Sprintf(
		"while MailRelay %s is paused nothing is replaced, and what is old goes on; due are %s: set its spec.paused to false", f.Relay, strings.Join(f.Due, "; "))}
}

func nextPasswordLoaded(f *UserFacts) *finding {
	if !f.Rotating {
		return nil
	}
	return &finding{reason: "Rotating", message: fmt.Sprintf(
		"a new password is written to the Secret once every pod of MailRelay %s knows it: if this lasts, see its condition WorkloadAvailable", f.Relay)}
}

func credentialsWritten(f *UserFacts) *finding {
	if f.SecretWritten {
		return nil
	}
	return &finding{reason: "WritingCredentials", message: "the credentials are being written"}
}

func tokensVerifiable(f *UserFacts) *finding {
	if f.Tokens == nil || f.Tokens.Verifiable || f.Tokens.Problem == "" {
		return nil
	}
	return &finding{reason: "TokenKeysUnknown", message: fmt.Sprintf(
		"MailRelay %s cannot verify tokens of service accounts: %s; this one goes on by itself", f.Relay, f.Tokens.Problem)}
}

func userCanLogIn(f *UserFacts) finding {
	switch {
	case f.Tokens == nil:
		return finding{reason: "CredentialsReady", message: "apps can log in with the credentials in the Secret"}
	case f.Tokens.Problem != "":
		return finding{reason: "TokenKeysOutdated", message: fmt.Sprintf(
			"apps can log in, but no longer when the cluster changes the keys of its tokens: %s", f.Tokens.Problem)}
	default:
		return finding{reason: "CredentialsReady", message: fmt.Sprintf(
			"apps can log in with what the Secret holds; for the token of service account %s that is the audience", f.User.Spec.Authentication.ServiceAccount.Name)}
	}
}

func relayHasRoom(f *UserFacts) *finding {
	if !f.LeftOut {
		return nil
	}
	return &finding{reason: "NoRoom", message: fmt.Sprintf(
		"MailRelay %s has no room for another user like this one: its Secret number %02d of users holds 1 MiB, the most that Kubernetes takes. Make the lists of senders and recipients of its access rules and users shorter, or move users to a second MailRelay", f.Relay, f.FullShard)}
}

func credentialsLoaded(f *UserFacts) *finding {
	if f.Loaded || !f.SecretWritten || f.LeftOut {
		return nil
	}
	return &finding{reason: "LoadingCredentials", message: fmt.Sprintf(
		"the pods of MailRelay %s have not loaded the credentials yet: if this lasts, see its condition WorkloadAvailable", f.Relay)}
}

package readiness

// inProgress are the reasons of conditions that are false only because something takes its
// time, as at the start of every relay.
var inProgress = map[string]bool{
	"Issuing":               true,
	"WaitingForCertificate": true,
	"PodsNotReady":          true,
	"PolicyMissing":         true,
	"WritingCredentials":    true,
	"LoadingCredentials":    true,
	"SigningCertificate":    true,
	"QueueNotEmpty":         true,
	"Removing":              true,
}

// InProgress reports whether a reason tells of work under way rather than of something wrong.
func InProgress(reason string) bool { return inProgress[reason] }

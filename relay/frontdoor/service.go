package frontdoor

// Service is one of the two ways in.
type Service string

// The services, by their registered names (RFC 8314 §7.3, RFC 6409 §3.1).
const (
	// Submissions is TLS from the first byte, port 465.
	Submissions Service = "submissions"
	// Submission is STARTTLS, port 587.
	Submission Service = "submission"
)

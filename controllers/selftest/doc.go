// Package selftest proves that a relay of this operator carries mail: it submits through a
// MailRelay whose upstream is a sink in the same process, and sees whether the messages come
// out there. "helm test" runs it in a pod of the operator's image.
package selftest

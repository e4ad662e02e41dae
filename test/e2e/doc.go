// Package e2e shows the promises of the operator and the relay on a real cluster, with real
// mail clients in front and Mailpit, as the mail provider, behind. "make e2e" runs it.
//
// As its last act the suite searches every log, event, object, metric and configuration that its
// tests left for every password and key that was used in it. A test that uses a token, which is in
// no Secret, tells it by used.learn; one that deletes a pod calls keepPod before.
package e2e

package config

import (
	"strings"
	"testing"
)

func TestFormatRecipientShowsWhatTheModeAllows(t *testing.T) {
	t.Parallel()
	const address = "Bob@Example.com"
	for mode, want := range map[string]string{
		RecipientsFull:   address,
		"":               address,
		RecipientsDomain: "Example.com",
		RecipientsHash:   "5ff860bf1190596c",
	} {
		if got := FormatRecipient(mode, address); got != want {
			t.Errorf("FormatRecipient(%q) = %q, want %q", mode, got, want)
		}
	}
}

func TestFormatRecipientHashesAnAddressInAnyCaseAlike(t *testing.T) {
	t.Parallel()
	upper, lower := FormatRecipient(RecipientsHash, "BOB@example.com"), FormatRecipient(RecipientsHash, "bob@example.com")
	if upper != lower {
		t.Errorf("hashes differ: %s and %s", upper, lower)
	}
	if strings.Contains(lower, "bob") || lower == FormatRecipient(RecipientsHash, "eve@example.com") {
		t.Errorf("hash %s does not hide or does not tell apart", lower)
	}
}

func TestClipBoundsWhatAStrangerWrote(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("a", maxClipped)
	for text, want := range map[string]string{
		"": "", short: short, short + "b": short + "…",
		// The cut is within a letter.
		short[1:] + "ü": short[1:] + "…",
	} {
		if got := Clip(text); got != want {
			t.Errorf("Clip(%q) = %q", text, got)
		}
	}
}

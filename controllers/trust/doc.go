// Package trust decides about the generations of a relay's internal CA: which one signs, which
// ones apps trust, when the next one takes over, and when an old one goes. It decides by what
// generations there are, and by their certificates alone.
package trust

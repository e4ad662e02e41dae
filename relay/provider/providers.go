package provider

import "slices"

// providers are those that there is a preset for, in the order of the documentation.
var providers = slices.Concat(services, mailboxes, hosts)

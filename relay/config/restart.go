package config

// keepFixed puts back what a running relay cannot change and returns the names of those
// fields, so that the configuration describes what is in use.
func keepFixed(running, next *Config) []string {
	var changed []string
	keepField(&changed, "hostname", running.Hostname, &next.Hostname)
	keepField(&changed, "listeners", running.Listeners, &next.Listeners)
	keepField(&changed, "tls.minVersion", running.TLS.MinVersion, &next.TLS.MinVersion)
	keepField(&changed, "queue.directory", running.Queue.Directory, &next.Queue.Directory)
	keepField(&changed, "admin.probes", running.Admin.Probes, &next.Admin.Probes)
	keepField(&changed, "admin.metrics", running.Admin.Metrics, &next.Admin.Metrics)
	keepField(&changed, "admin.status", running.Admin.Status, &next.Admin.Status)
	return changed
}

func keepField[T comparable](changed *[]string, name string, running T, next *T) {
	if *next != running {
		*changed = append(*changed, name)
		*next = running
	}
}

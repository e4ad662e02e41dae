package apply

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestManagersOfAField(t *testing.T) {
	t.Parallel()
	secret := ownedSecret(`{"f:data":{".":{},"f:a":{},"f:shared":{}},"f:metadata":{"f:annotations":{"f:mailrelay.dev/issued":{}}}}`,
		metav1.ManagedFieldsOperationApply, "")
	secret.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{"f:data":{"f:theirs":{},"f:shared":{}}}`)
	for _, tc := range []struct {
		path []string
		want []string
	}{
		{[]string{"data", "a"}, []string{FieldOwner}},
		{[]string{"data", "theirs"}, []string{"kubectl"}},
		{[]string{"data", "shared"}, []string{"kubectl", FieldOwner}},
		{[]string{"data", "none"}, nil},
		{[]string{"data", "a", "below"}, nil},
		{[]string{"metadata", "annotations", "mailrelay.dev/issued"}, []string{FieldOwner}},
	} {
		if got := Managers(secret, tc.path...); !slices.Equal(got, tc.want) || Owns(secret, tc.path...) != slices.Contains(tc.want, FieldOwner) {
			t.Errorf("%v belongs to %v, want %v", tc.path, got, tc.want)
		}
	}
	if status := ownedSecret(`{"f:data":{"f:a":{}}}`, metav1.ManagedFieldsOperationApply, "status"); Owns(status, "data", "a") {
		t.Error("what a subresource owns counts")
	}
}

package fake_test

import (
	"testing"
	"testing/synctest"

	"fairlead/internal/runtime/fake"
	"fairlead/internal/runtime/runtimetest"
)

func TestContract(t *testing.T) {
	for _, c := range runtimetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := fake.New()
				t.Cleanup(r.Close)
				c.Run(t, r)
			})
		})
	}
}

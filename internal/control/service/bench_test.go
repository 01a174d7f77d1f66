package service

import (
	"fmt"
	"testing"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// BenchmarkPlan measures gathering and planning one changed service of ten tasks among others. The
// cost must not depend on how many others there are: nothing is found by a scan.
func BenchmarkPlan(b *testing.B) {
	for _, services := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			store := statetest.Open(b, row.Tables()...)
			populate(b, store, services)
			name, now := arnOf(services/2), time.Now()
			for b.Loop() {
				in, _ := gather(store.View(), name)
				in.Now, in.NewID = now, func() string { return aws.HexID(32) }
				if p := plan.Service(in); len(p.Stops) != 0 {
					b.Fatal("a service at rest is planned to change")
				}
			}
		})
	}
}

func arnOf(i int) string { return fmt.Sprintf("arn:aws:ecs:r:1:service/c/s%05d", i) }

// populate writes services of ten running tasks each.
func populate(b testing.TB, store *state.Store, services int) {
	const batch = 100 // services per transaction
	for first := 0; first < services; first += batch {
		statetest.Update(b, store, func(tx *state.Tx) {
			for i := first; i < first+batch; i++ {
				putService(tx, arnOf(i))
			}
		})
	}
}

func putService(tx *state.Tx, arn string) {
	now := time.Now().Add(-time.Hour)
	row.Services.Put(tx, row.Service{ARN: arn, Name: "s", DesiredCount: 10, Status: row.ServiceActive})
	row.Deployments.Put(tx, row.Deployment{Service: arn, ID: "ecs-svc/1", CreatedAt: now,
		Status: row.DeploymentPrimary, RolloutState: "COMPLETED"})
	for i := range 10 {
		row.Tasks.Put(tx, row.Task{ARN: fmt.Sprintf("%s/%d", arn, i), Service: arn,
			Deployment: "ecs-svc/1", DesiredStatus: row.TaskRunning, LastStatus: row.TaskRunning,
			StartedAt: &now, Zone: "ra", Notes: row.TaskNotes{Healthy: true}})
	}
}

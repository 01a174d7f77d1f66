package plan

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Times of the scheduler.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-throttle-logic.html
const (
	// SettleTime is how long a task without health checks must be RUNNING to count as healthy.
	SettleTime = 40 * time.Second
	// maxThrottle bounds the wait after tasks that stopped before RUNNING.
	maxThrottle = 15 * time.Minute
	// maxPace bounds the wait after tasks that stopped after RUNNING, but before they were healthy.
	// AWS does not throttle these; its scheduler looks about every ten seconds.
	maxPace = 10 * time.Second
	// repeatTime is after how long an event with an unchanged cause is told again.
	repeatTime = 6 * time.Hour
	// forgetTime is how long a deleted service is described.
	forgetTime = time.Hour
)

// maxStep is how many tasks one plan starts, and how many it stops: the next plan goes on. AWS, too,
// tells of at most ten tasks per event.
const maxStep = 10

// toldThrottle is after how many failures in a row the service is said to be unable to start tasks.
const toldThrottle = 3

// Bounds are how many tasks a service may have while they are being replaced.
type Bounds struct {
	Desired int
	Lower   int // healthy tasks that must remain when the scheduler stops one
	Upper   int // tasks, of whatever health, that there may be when the scheduler starts one
}

// BoundsOf applies the percentages to a count: the minimum rounds up, the maximum down.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
func BoundsOf(desired int, conf ecs.DeploymentConfiguration) Bounds {
	low, high := int(aws.Or(conf.MinimumHealthyPercent, 100)), int(aws.Or(conf.MaximumPercent, 200))
	return Bounds{
		Desired: desired,
		Lower:   percentUp(desired, low),
		Upper:   desired * high / 100,
	}
}

// throttle is how long to wait after so many failures in a row: a second, then twice as long each
// time.
func throttle(failures int, longest time.Duration) time.Duration {
	const doublings = 10 // a second doubled ten times is beyond maxThrottle
	return min(time.Second<<min(failures-1, doublings), longest)
}

// endedItself tells whether nobody asked a task to stop: its containers are gone already.
func endedItself(t row.Task) bool {
	return t.StopCode == ecs.TaskStopCodeTaskFailedToStart ||
		t.StopCode == ecs.TaskStopCodeEssentialContainerExited
}

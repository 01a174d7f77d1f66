package sim

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// Random does one thing that can happen to a service: a task crashes, is stopped by a user, falls
// ill or recovers, the count changes, a deployment begins, good or bad, the controller is away, an
// alarm fires or ends.
func (w *World) Random() {
	switch n := w.rng.IntN(100); {
	case n < 25:
		w.pick(row.TaskRunning, (*Task).Exit)
	case n < 35:
		w.pick(row.TaskRunning, func(t *Task) {
			t.stop(ecs.TaskStopCodeUserInitiated, "Task stopped by user")
		})
	case n < 50:
		w.pick(row.TaskRunning, func(t *Task) { t.SetHealth(false) })
	case n < 65:
		w.pick(row.TaskRunning, func(t *Task) { t.SetHealth(true) })
	case n < 75:
		w.Scale(w.rng.IntN(12))
	case n < 85:
		w.Deploy(w.image())
	case n < 90:
		w.protect()
	case n < 93:
		w.Outage(time.Duration(w.rng.IntN(120)) * time.Second)
	case n < 96 && w.Alarm != nil:
		w.Fire(!w.Alarm.Firing)
	default:
		w.percentages()
	}
	w.wake = w.Now
}

// pick does something to a random task that is in a status and to run.
func (w *World) pick(status string, do func(*Task)) {
	var tasks []*Task
	for _, t := range w.Tasks {
		if t.LastStatus == status && t.kept() {
			tasks = append(tasks, t)
		}
	}
	if len(tasks) > 0 {
		do(tasks[w.rng.IntN(len(tasks))])
	}
}

// protect protects a task for some minutes.
func (w *World) protect() {
	w.pick(row.TaskRunning, func(t *Task) {
		t.Protection = new(w.Now.Add(time.Duration(1+w.rng.IntN(20)) * time.Minute))
	})
}

// percentages changes the bounds.
func (w *World) percentages() {
	w.bounds([][2]int32{
		{100, 200}, {50, 100}, {0, 100}, {50, 150}, {100, 150}, {75, 200}, {0, 200},
	})
}

func (w *World) bounds(pairs [][2]int32) {
	pair := pairs[w.rng.IntN(len(pairs))]
	w.Service.Configuration.MinimumHealthyPercent = &pair[0]
	w.Service.Configuration.MaximumPercent = &pair[1]
	w.changed()
}

// image is mostly good.
func (w *World) image() Image {
	image := Sound
	image.Start = time.Duration(w.rng.IntN(60)) * time.Second
	image.Healthy = time.Duration(w.rng.IntN(30)) * time.Second
	image.Drain = time.Duration(w.rng.IntN(120)) * time.Second
	switch w.rng.IntN(6) {
	case 0:
		image.FailStart = true
	case 1:
		image.Sick = true
	case 2:
		image.Exit = time.Duration(1+w.rng.IntN(20)) * time.Second
	}
	return image
}

// Calm ends all faults: the last image is good, every task can become healthy, the bounds leave room.
func (w *World) Calm() {
	for _, t := range w.Tasks {
		if t.LastStatus == row.TaskRunning && t.kept() {
			t.SetHealth(true)
		}
		t.image.Sick, t.image.FailStart, t.image.Exit = false, false, 0
		t.Protection = nil
	}
	if w.Alarm != nil {
		w.Fire(false)
	}
	w.bounds([][2]int32{{100, 200}, {0, 100}, {50, 200}, {0, 200}})
	w.Deploy(Sound)
}

// Pass lets a random time pass, up to a minute.
func (w *World) Pass() {
	w.Run(time.Duration(w.rng.IntN(60_000))*time.Millisecond, func() bool { return false })
}

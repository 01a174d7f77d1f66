package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/event"
)

const eventsHelp = `Shows what happened to tasks, deployments and services as the JSON that Amazon ECS sends to
EventBridge, one event per line, the oldest first:

  ECS Task State Change        each change of a task; the detail is the task as DescribeTasks has it
  ECS Deployment State Change  SERVICE_DEPLOYMENT_IN_PROGRESS, _COMPLETED, _FAILED
  ECS Service Action           SERVICE_STEADY_STATE, TASKS_STOPPED, SERVICE_TASK_START_IMPAIRED, …

The newest 5000 events are kept, also across restarts. "sequence" numbers them without gaps; it is the
one member that EventBridge does not have. With --follow new events are shown as they come, until
Ctrl-C.`

const eventsExample = `  fairlead events --follow --plain                 # watch a rollout
  fairlead events --service web | jq 'select(.detail.stopCode) | .detail.stoppedReason'
  fairlead events --follow --since 1234            # go on after event 1234`

// eventsQuery is what `fairlead events` asks for.
type eventsQuery struct {
	follow, plain bool
	service       string
	since         int64
}

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Show what happened to tasks, deployments and services",
		Long:    eventsHelp,
		Example: eventsExample,
		Args:    cobra.NoArgs,
	}
	var q eventsQuery
	endpoint := endpointFlag(cmd)
	cmd.Flags().BoolVarP(&q.follow, "follow", "f", false, "go on with new events, until Ctrl-C")
	cmd.Flags().BoolVar(&q.plain, "plain", false, "a short line per event in place of JSON")
	cmd.Flags().StringVar(&q.service, "service", "", "only events of this service: its name or ARN")
	cmd.Flags().Int64Var(&q.since, "since", 0, "only events after this sequence number")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return showEvents(cmd.Context(), cmd.OutOrStdout(), *endpoint, q)
	}
	return cmd
}

func (q eventsQuery) path() string {
	v := url.Values{"since": {strconv.FormatInt(q.since, 10)}}
	if q.follow {
		v.Set("follow", "1")
	}
	if q.service != "" {
		v.Set("service", q.service)
	}
	return "events?" + v.Encode()
}

// showEvents prints events as they come. A stream that was to be followed ends by Ctrl-C alone.
func showEvents(ctx context.Context, out io.Writer, endpoint string, q eventsQuery) error {
	body, err := open(ctx, endpoint, "GET", q.path(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	last, err := printEvents(out, body, q.plain)
	switch {
	case ctx.Err() != nil:
		return nil
	case q.follow:
		return fmt.Errorf("the stream has ended; go on with --since %d: %w",
			max(last, q.since), cmp.Or(err, io.EOF))
	}
	return err
}

// printEvents copies events and returns the sequence number of the last.
func printEvents(out io.Writer, body io.Reader, plain bool) (last int64, err error) {
	in := bufio.NewReader(body)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return last, nil
		}
		if err != nil {
			return last, fmt.Errorf("read events: %w", err)
		}
		var e event.Envelope
		if err := json.Unmarshal(text, &e); err != nil {
			return last, fmt.Errorf("read an event: %w", err)
		}
		last = e.Sequence
		if plain {
			text = []byte(plainEvent(e))
		}
		if _, err := out.Write(text); err != nil {
			return last, err
		}
	}
}

// plainDetail is what plainEvent shows of the three kinds of detail.
type plainDetail struct {
	LastStatus, DesiredStatus, StoppedReason string   // of a task
	Group                                    string   // of a task
	EventName, DeploymentID, Reason          string   // of a deployment or service
	TaskARNs                                 []string // of TASKS_STOPPED
}

// plainEvent is an event in one line.
func plainEvent(e event.Envelope) string {
	var d plainDetail
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return fmt.Sprintf("%d: %v\n", e.Sequence, err)
	}
	subject := ""
	if len(e.Resources) > 0 {
		subject = e.Resources[0][strings.LastIndexByte(e.Resources[0], '/')+1:]
	}
	what, more := d.EventName, cmp.Or(d.Reason, d.DeploymentID)
	if e.DetailType == event.TaskStateChange {
		subject = fmt.Sprintf("%.8s %s", subject, d.Group)
		what, more = d.LastStatus, d.StoppedReason
		if d.DesiredStatus != "RUNNING" && d.LastStatus != d.DesiredStatus {
			what += " -> " + d.DesiredStatus
		}
	}
	if len(d.TaskARNs) > 0 {
		more = fmt.Sprintf("%d tasks", len(d.TaskARNs))
	}
	line := fmt.Sprintf("%s  %-32s %s  %s", e.Time.Local().Format("15:04:05"), subject, what, more)
	return strings.TrimRight(line, " ") + "\n"
}

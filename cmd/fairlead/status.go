package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/admin"
)

// watchEvery is the pause between two looks of status --watch.
const watchEvery = 500 * time.Millisecond

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show services, tasks, targets and their health",
		Long: `Shows load balancers, services with the progress of their rollouts, tasks, and the health of
their targets. With --watch it goes on showing them until Ctrl-C.`,
		Args: cobra.NoArgs,
	}
	endpoint := endpointFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "show again twice a second, until Ctrl-C")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *watch {
			return watchStatus(cmd.Context(), cmd.OutOrStdout(), *endpoint)
		}
		return showStatus(cmd.Context(), cmd.OutOrStdout(), *endpoint)
	}
	return cmd
}

func showStatus(ctx context.Context, out io.Writer, endpoint string) error {
	var s admin.Status
	if err := call(ctx, endpoint, "GET", "status", nil, &s); err != nil {
		return err
	}
	return printStatus(out, s)
}

// watchStatus draws each look over the one before. Lines are erased as they are written, so that
// nothing flickers; what a longer look left below is erased at the end.
func watchStatus(ctx context.Context, out io.Writer, endpoint string) error {
	const home, eraseLine, eraseBelow = "\x1b[H", "\x1b[K\n", "\x1b[J"
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	fmt.Fprint(out, home, eraseBelow)
	for {
		var look bytes.Buffer
		if err := showStatus(ctx, &look, endpoint); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		fmt.Fprint(out, home, strings.ReplaceAll(look.String(), "\n", eraseLine), eraseBelow)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func printStatus(out io.Writer, s admin.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(s.Services)+len(s.Tasks)+len(s.LoadBalancers) == 0 {
		fmt.Fprintln(w, "Nothing is here yet: no service, no task, no load balancer.")
	}
	if len(s.LoadBalancers) > 0 {
		fmt.Fprintln(w, "LOAD BALANCER\tSTATE\tLISTENERS\tDNS NAME")
		for _, lb := range s.LoadBalancers {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", lb.Name, lb.State, strings.Join(lb.Listeners, " "), lb.DNSName)
		}
		fmt.Fprintln(w)
	}
	if len(s.Services) > 0 {
		printServices(w, s.Services)
	}
	var tasks []ownedTask
	for _, service := range s.Services {
		for _, t := range service.Tasks {
			tasks = append(tasks, ownedTask{service.Name, t})
		}
	}
	for _, t := range s.Tasks {
		tasks = append(tasks, ownedTask{"-", t})
	}
	printTasks(w, tasks)
	return w.Flush()
}

type ownedTask struct {
	service string
	admin.TaskStatus
}

func printServices(w io.Writer, services []admin.ServiceStatus) {
	fmt.Fprintln(w, "SERVICE\tCLUSTER\tREGION\tSTATUS\tDESIRED\tRUNNING\tPENDING\tHEALTHY\tDRAINING\tROLLOUT")
	for _, v := range services {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s %s\n", v.Name, v.Cluster, v.Scope.Region,
			v.Status, v.Desired, v.Running, v.Pending, v.Healthy, v.Draining, progress(v), v.Rollout)
	}
	fmt.Fprintln(w)
}

// progress is a bar of the tasks that the newest deployment has of those that it is to have.
func progress(v admin.ServiceStatus) string {
	const width = 10
	if v.Desired == 0 {
		return ""
	}
	full := min(width, width*v.New/v.Desired)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

func printTasks(w io.Writer, tasks []ownedTask) {
	if len(tasks) == 0 {
		return
	}
	fmt.Fprintln(w, "TASK\tSERVICE\tDEFINITION\tSTATUS\tADDRESS\tZONE\tTARGETS")
	for _, t := range tasks {
		fmt.Fprintf(w, "%.8s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.service, t.Definition, t.Status,
			t.Address, t.Zone, targets(t.Targets))
	}
}

// targets is "healthy (web:80)", with the reason where a target is not healthy.
func targets(list []admin.TargetStatus) string {
	var out []string
	for _, t := range list {
		s := fmt.Sprintf("%s (%s:%d)", t.State, t.TargetGroup, t.Port)
		if t.Reason != "" {
			s += " " + t.Reason
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ")
}

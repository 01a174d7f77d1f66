package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fairlead/internal/admin"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show services, tasks, targets and their health",
		Args:  cobra.NoArgs,
	}
	endpoint := endpointFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var s admin.Status
		if err := call(cmd.Context(), *endpoint, "GET", "status", nil, &s); err != nil {
			return err
		}
		return printStatus(cmd.OutOrStdout(), s)
	}
	return cmd
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
	fmt.Fprintln(w, "SERVICE\tCLUSTER\tREGION\tSTATUS\tDESIRED\tRUNNING\tPENDING\tROLLOUT")
	for _, v := range services {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", v.Name, v.Cluster, v.Scope.Region, v.Status,
			v.Desired, v.Running, v.Pending, v.Rollout)
	}
	fmt.Fprintln(w)
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

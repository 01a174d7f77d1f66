package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"
)

// identity is who answers.
type identity struct {
	Task    string `json:"task,omitempty"`
	Host    string `json:"host"`
	Version string `json:"version"`
}

// identify asks the environment, and the task metadata endpoint if there is one.
func identify(getenv func(string) string) identity {
	host, _ := os.Hostname()
	who := identity{
		Host:    host,
		Version: cmp.Or(getenv("VERSION"), getenv("FAIRLEAD_HELLO_TAG"), "latest"),
	}
	if uri := getenv("ECS_CONTAINER_METADATA_URI_V4"); uri != "" {
		who.Task = taskID(uri)
	}
	return who
}

// taskID is the last part of the task's ARN, or nothing if the endpoint does not answer.
func taskID(uri string) string {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(uri + "/task")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var task struct{ TaskARN string }
	if err := json.NewDecoder(response.Body).Decode(&task); err != nil {
		return ""
	}
	return task.TaskARN[strings.LastIndexByte(task.TaskARN, '/')+1:]
}

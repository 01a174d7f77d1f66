package alarm

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/api/cloudwatch"
)

// reason words the verdict as CloudWatch does.
func (v verdict) reason(r Rule) string {
	switch {
	case v.state == insufficient:
		return fmt.Sprintf("Insufficient Data: %s unknown.", was(v.filled, "datapoint"))
	case len(v.from) == 0:
		return fmt.Sprintf(
			"Threshold Crossed: no datapoints were received for %s and %s treated as [%s].", plural(r.Periods, "period"), was(v.filled, "missing datapoint"), v.treated)
	}
	text := "Threshold Crossed: " + v.counted(r) + " " + v.compared(r)
	if v.treated != "" {
		text += fmt.Sprintf(" and %s treated as [%s]", was(v.filled, "missing datapoint"), v.treated)
	}
	if r.Told {
		text += fmt.Sprintf(" (minimum %s for %s transition)", plural(v.needed(r), "datapoint"),
			map[bool]string{true: "OK -> ALARM", false: "ALARM -> OK"}[v.state == alarm])
	}
	return text + "."
}

// counted tells of the datapoints that made the state.
func (v verdict) counted(r Rule) string {
	made := v.made()
	texts := make([]string, len(made))
	for i, d := range made {
		texts[i] = double(d.Value) + d.At.UTC().Format(" (02/01/06 15:04:05)")
	}
	list := " [" + strings.Join(texts, ", ") + "]"
	if r.Told {
		return fmt.Sprintf("%d out of the last %d datapoints", len(made), r.Periods) + list
	}
	return plural(len(made), "datapoint") + list
}

// made are the datapoints that speak for the state; all there are, if none does.
func (v verdict) made() []Datapoint {
	switch {
	case v.state == alarm && len(v.hit) > 0:
		return v.hit
	case v.state == ok && len(v.miss) > 0:
		return v.miss
	}
	return v.from
}

func (v verdict) compared(r Rule) string {
	made, not := v.made(), ""
	if !r.breaches(made[0]) {
		not = "not "
	}
	return fmt.Sprintf("%s %s%s the threshold (%s)", verb(len(made)), not, operators[r.Operator],
		double(r.Threshold))
}

// needed is how many datapoints it takes for the transition.
func (v verdict) needed(r Rule) int {
	if v.state == alarm {
		return r.ToAlarm
	}
	return r.Periods - r.ToAlarm + 1
}

var operators = map[cloudwatch.ComparisonOperator]string{
	cloudwatch.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
	cloudwatch.ComparisonOperatorGreaterThanThreshold:          "greater than",
	cloudwatch.ComparisonOperatorLessThanOrEqualToThreshold:    "less than or equal to",
	cloudwatch.ComparisonOperatorLessThanThreshold:             "less than",
}

// reasonData is the same for machines.
func (v verdict) reasonData(r Rule, now time.Time) string {
	data := map[string]any{
		"version": "1.0", "queryDate": javaTime(now), "statistic": r.Statistic.Name,
		"period": int(r.Period / time.Second), "threshold": json.Number(double(r.Threshold)),
		"recentDatapoints": v.recent(),
	}
	if r.Unit != "" {
		data["unit"] = r.Unit
	}
	if len(v.from) > 0 {
		data["startDate"] = javaTime(v.from[0].At)
	}
	raw, err := json.Marshal(data)
	if err != nil || len(raw) > maxReasonData {
		return ""
	}
	return string(raw)
}

// maxReasonData is the model's limit of StateReasonData, in characters.
const maxReasonData = 4000

func (v verdict) recent() []json.Number {
	values := make([]json.Number, len(v.from))
	for i, d := range v.from {
		values[i] = json.Number(double(d.Value))
	}
	return values
}

func javaTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// double writes a number as Java does: with at least one decimal, and large and small ones with a
// power of ten.
func double(f float64) string {
	if f != 0 && (f >= 1e7 || f <= -1e7 || f < 1e-3 && f > -1e-3) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, 64), "E")
		n, _ := strconv.Atoi(exponent)
		return decimal(mantissa) + "E" + strconv.Itoa(n)
	}
	return decimal(strconv.FormatFloat(f, 'f', -1, 64))
}

func decimal(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func was(n int, noun string) string { return plural(n, noun) + " " + verb(n) }

func verb(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

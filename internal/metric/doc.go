// Package metric keeps numbers by time, in memory: metrics with their dimensions, each with
// datapoints of a second or a minute that know how many values they stand for, their sum, minimum
// and maximum and, where they were told one by one, the values themselves. It knows no AWS API.
//
//	Add     puts a sample into the datapoint of its second or minute
//	Points  gathers datapoints into periods
//	Sweep   folds old seconds into minutes and forgets old minutes
//
// Everything is bounded: the number of metrics, the memory of all datapoints, and their age.
package metric

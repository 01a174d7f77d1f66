// Package vpc makes the devices of the virtual network; it knows no AWS API and no state.
package vpc

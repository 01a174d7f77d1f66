// Genapi turns the AWS service models in models/ into Go wire shapes under internal/api, and cuts
// those models out of the public ones.
//
//	genapi generate MODELS-DIR OUT-DIR           models/*.json -> internal/api/<service>/api.go
//	genapi cut MODELS-DIR SERVICE MODEL.json[.gz] public model -> models/SERVICE.json
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  genapi generate MODELS-DIR OUT-DIR
      writes OUT-DIR/<service>/api.go for every MODELS-DIR/<service>.json
  genapi cut MODELS-DIR SERVICE MODEL.json[.gz]
      writes MODELS-DIR/SERVICE.json from a public service model: no prose, only the shapes that the
      operations in MODELS-DIR/SERVICE.ops reach (all operations when there is no such file)
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "genapi:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "generate":
		return generateAll(args[1], args[2])
	case len(args) == 4 && args[0] == "cut":
		return cut(args[1], args[2], args[3])
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown arguments %q", args)
}

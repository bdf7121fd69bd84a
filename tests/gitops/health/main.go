// Tells what Argo CD, Flux and Helm make of objects. It reads a JSON mapping of names to objects
// from standard input, and writes a JSON mapping of the names to what each tool says.
//
// Argo CD runs a script in Lua, which is the argument. Flux and Helm run kstatus; Helm 4 and Flux
// have the same fork of it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	flux "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubernetes "sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// What the tools say of an object.
type verdict struct {
	ArgoCD  string `json:"argoCd"`
	Message string `json:"message"`
	Flux    string `json:"flux"`
	Kstatus string `json:"kstatus"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: health SCRIPT.lua < OBJECTS.json")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects map[string]unstructured.Unstructured
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("cannot read the objects: %w", err)
	}
	verdicts := map[string]verdict{}
	for name, object := range objects {
		if verdicts[name], err = judge(string(script), &object); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func judge(script string, object *unstructured.Unstructured) (verdict, error) {
	argo, message, err := argoCD(script, object)
	if err != nil {
		return verdict{}, fmt.Errorf("Argo CD: %w", err)
	}
	ofFlux, err := flux.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("Flux: %w", err)
	}
	ofKubernetes, err := kubernetes.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	return verdict{argo, message, string(ofFlux.Status), string(ofKubernetes.Status)}, nil
}

// Argo CD gives a script a second, the object as `obj`, and the libraries base, table and package
// alone: there is no library for strings.
func argoCD(script string, object *unstructured.Unstructured) (string, string, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	}
	for _, library := range libraries {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return "", "", err
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", fmt.Errorf("the script returns a %s, and no table", state.Get(-1).Type())
	}
	health := state.GetField(table, "status").String()
	switch health {
	case "Healthy", "Progressing", "Suspended", "Degraded", "Missing", "Unknown":
	default:
		return "", "", fmt.Errorf("Argo CD knows no health %q", health)
	}
	message, ok := state.GetField(table, "message").(lua.LString)
	if !ok || message == "" {
		return "", "", fmt.Errorf("%s has no message", health)
	}
	return health, string(message), nil
}

// A value of JSON as one of Lua.
func value(state *lua.LState, of any) lua.LValue {
	switch it := of.(type) {
	case bool:
		return lua.LBool(it)
	case float64:
		return lua.LNumber(it)
	case int64:
		return lua.LNumber(it)
	case string:
		return lua.LString(it)
	case []any:
		list := state.CreateTable(len(it), 0)
		for _, entry := range it {
			list.Append(value(state, entry))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(it))
		for key, entry := range it {
			table.RawSetString(key, value(state, entry))
		}
		return table
	default:
		return lua.LNil
	}
}

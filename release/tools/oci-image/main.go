// oci-image writes an OCI image of one layer as a tar, the same bytes for the same files.
//
//	oci-image -name NAME -out FILE -entrypoint PATH [-user UID:GID] [-env K=V]... [-workdir DIR]
//	  [-label K=V]... [-max-layer BYTES] [ARCHITECTURE=]SOURCE:TARGET...
//
// The folder of the entry point is the PATH, so that a shell's word for it is known in a container.
// A SOURCE is a file or a folder, which is taken whole. Nothing of the machine that builds it goes
// into the image: no times, no owners, no order of a folder's entries, no permissions but the
// executable bit.
//
// Where a SOURCE has an ARCHITECTURE (amd64 or arm64), the tar has one image index, with a manifest
// for each architecture that is named; a SOURCE without one is in all of them. Otherwise the tar has
// one image for the architecture of this machine.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"time"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    map[string]string `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func main() {
	var env, labels list
	name := flag.String("name", "", "the image's full name, with its tag")
	out := flag.String("out", "", "the tar to write")
	entrypoint := flag.String("entrypoint", "", "the program that it runs")
	user := flag.String("user", "65532:65532", "who it runs as, as numbers")
	workdir := flag.String("workdir", "/", "where it runs")
	most := flag.Int("max-layer", 0, "refuse a layer that has more bytes, compressed; 0: any size")
	flag.Var(&env, "env", "a variable, K=V; may be repeated")
	flag.Var(&labels, "label", "a label, K=V; may be repeated")
	flag.Parse()
	if *name == "" || *out == "" || *entrypoint == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	contents := byArchitecture(flag.Args())
	blobs := map[string]entry{}
	settings := map[string]any{
		"Entrypoint": []string{*entrypoint},
		"User":       *user,
		"WorkingDir": *workdir,
		"Env":        append([]string{"PATH=" + path.Dir(*entrypoint)}, env...),
		"Labels":     pairs(labels),
	}
	var manifests []descriptor
	size := 0
	for _, architecture := range slices.Sorted(maps.Keys(contents)) {
		if architecture == "" {
			continue
		}
		manifest, packed, err := image(blobs, architecture, settings, contents[architecture])
		fail(err)
		if *most > 0 && packed > *most {
			fail(fmt.Errorf("%s for %s has a layer of %d bytes: at most %d", *name, architecture, packed, *most))
		}
		manifests = append(manifests, manifest)
		size = max(size, packed)
	}
	named := manifests[0]
	if _, single := contents[""]; !single {
		named = store(blobs, indexType, encode(map[string]any{
			"schemaVersion": 2, "mediaType": indexType, "manifests": manifests,
		}))
	}
	// The first is read by containerd, the second by those who follow the specification alone.
	named.Annotations = map[string]string{
		"io.containerd.image.name":          *name,
		"org.opencontainers.image.ref.name": (*name)[strings.LastIndex(*name, ":")+1:],
	}
	blobs["oci-layout"] = entry{data: []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	blobs["index.json"] = entry{data: encode(map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": []descriptor{named},
	})}
	whole, err := archive(blobs)
	fail(err)
	fail(write(*out, whole))
	fmt.Printf("%s %s %d\n", *name, named.Digest, size)
}

// The sources for each architecture. The key "" is there only if none was named, beside this
// machine's own.
func byArchitecture(arguments []string) map[string][]string {
	named, shared := map[string][]string{}, []string{}
	for _, argument := range arguments {
		architecture, source, found := strings.Cut(argument, "=")
		if found && (architecture == "amd64" || architecture == "arm64") {
			named[architecture] = append(named[architecture], source)
		} else {
			shared = append(shared, argument)
		}
	}
	if len(named) == 0 {
		return map[string][]string{"": nil, runtime.GOARCH: shared}
	}
	for architecture := range named {
		named[architecture] = append(named[architecture], shared...)
	}
	return named
}

// Stores an image's blobs; returns its manifest and the bytes of its layer.
func image(blobs map[string]entry, architecture string, settings any, sources []string) (descriptor, int, error) {
	entries := map[string]entry{}
	for _, argument := range sources {
		source, target, found := strings.Cut(argument, ":")
		if !found {
			return descriptor{}, 0, fmt.Errorf("%q is not SOURCE:TARGET", argument)
		}
		if err := collect(entries, source, target); err != nil {
			return descriptor{}, 0, err
		}
	}
	layer, err := archive(entries)
	if err != nil {
		return descriptor{}, 0, err
	}
	packed, err := compress(layer)
	if err != nil {
		return descriptor{}, 0, err
	}
	config := encode(map[string]any{
		"architecture": architecture,
		"os":           "linux",
		"config":       settings,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := store(blobs, manifestType, encode(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        store(blobs, configType, config),
		"layers":        []descriptor{store(blobs, layerType, packed)},
	}))
	manifest.Platform = map[string]string{"architecture": architecture, "os": "linux"}
	return manifest, len(packed), nil
}

func store(blobs map[string]entry, mediaType string, data []byte) descriptor {
	described := descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
	blobs["blobs/sha256/"+strings.TrimPrefix(described.Digest, "sha256:")] = entry{data: data}
	return described
}

// An entry of a tar: a file, or a symbolic link where link is set.
type entry struct {
	data       []byte
	link       string
	executable bool
}

func collect(entries map[string]entry, source, target string) error {
	return filepath.WalkDir(source, func(at string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, at)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Join(target, filepath.ToSlash(relative)), "/")
		if at != source && found.Type()&fs.ModeSymlink != 0 {
			link, err := os.Readlink(at)
			entries[name] = entry{link: link}
			return err
		}
		if found.IsDir() {
			return nil
		}
		// What is named itself is followed: a shared library is often a link to its version.
		status, err := os.Stat(at)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(at)
		entries[name] = entry{data: data, executable: status.Mode()&0o100 != 0}
		return err
	})
}

func archive(entries map[string]entry) ([]byte, error) {
	names := make([]string, 0, len(entries))
	folders := map[string]bool{}
	for name := range entries {
		names = append(names, name)
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			folders[folder] = true
		}
	}
	for folder := range folders {
		names = append(names, folder+"/")
	}
	sort.Strings(names)
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, name := range names {
		file := entries[name]
		header := tar.Header{Name: name, ModTime: time.Unix(0, 0), Mode: 0o644, Format: tar.FormatPAX}
		switch {
		case strings.HasSuffix(name, "/"):
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		case file.link != "":
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.link, 0o777
		default:
			header.Typeflag, header.Size = tar.TypeReg, int64(len(file.data))
			if file.executable {
				header.Mode = 0o755
			}
		}
		if err := writer.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(file.data); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

func compress(data []byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := writer.Write(data); err != nil {
		return nil, err
	}
	err = writer.Close()
	return buffer.Bytes(), err
}

// Whole or not at all: somebody else may read it meanwhile.
func write(to string, data []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(to), ".oci-image-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	if _, err := draft.Write(data); err != nil {
		return err
	}
	if err := draft.Chmod(0o644); err != nil {
		return err
	}
	if err := draft.Close(); err != nil {
		return err
	}
	return os.Rename(draft.Name(), to)
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func pairs(all list) map[string]string {
	found := map[string]string{}
	for _, each := range all {
		key, value, _ := strings.Cut(each, "=")
		found[key] = value
	}
	return found
}

// Maps are written in the order of their keys.
func encode(value any) []byte {
	data, err := json.Marshal(value)
	fail(err)
	return data
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "oci-image:", err)
		os.Exit(1)
	}
}

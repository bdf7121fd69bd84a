// oci-image writes an OCI image of one layer as a tar, the same bytes for the same files.
//
//	oci-image -name NAME -out FILE -entrypoint PATH [-user UID:GID] [-env K=V]... [-workdir DIR] SOURCE:TARGET...
//
// The folder of the entry point is the PATH, so that a shell's word for it is known in a container.
// A SOURCE is a file or a folder, which is taken whole. Nothing of the machine that builds it goes
// into the image: no times, no owners, no order of a folder's entries, no permissions but the
// executable bit.
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
	"os"
	"path"
	"path/filepath"
	"runtime"
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
	flag.Var(&env, "env", "a variable, K=V; may be repeated")
	flag.Var(&labels, "label", "a label, K=V; may be repeated")
	flag.Parse()
	if *name == "" || *out == "" || *entrypoint == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	entries := map[string]entry{}
	for _, argument := range flag.Args() {
		source, target, found := strings.Cut(argument, ":")
		if !found {
			fail(fmt.Errorf("%q is not SOURCE:TARGET", argument))
		}
		fail(collect(entries, source, target))
	}
	layer, err := archive(entries)
	fail(err)
	packed, err := compress(layer)
	fail(err)

	platform := map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	config := encode(map[string]any{
		"architecture": platform["architecture"],
		"os":           platform["os"],
		"config": map[string]any{
			"Entrypoint": []string{*entrypoint},
			"User":       *user,
			"WorkingDir": *workdir,
			"Env":        append([]string{"PATH=" + path.Dir(*entrypoint)}, env...),
			"Labels":     pairs(labels),
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := encode(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        describe(configType, config),
		"layers":        []descriptor{describe(layerType, packed)},
	})
	described := describe(manifestType, manifest)
	described.Platform = platform
	// The first is read by containerd, the second by those who follow the specification alone.
	described.Annotations = map[string]string{
		"io.containerd.image.name":          *name,
		"org.opencontainers.image.ref.name": (*name)[strings.LastIndex(*name, ":")+1:],
	}
	index := encode(map[string]any{
		"schemaVersion": 2, "mediaType": indexType, "manifests": []descriptor{described},
	})

	files := map[string]entry{
		"oci-layout": {data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		"index.json": {data: index},
	}
	for _, blob := range [][]byte{packed, config, manifest} {
		files["blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:")] = entry{data: blob}
	}
	image, err := archive(files)
	fail(err)
	fail(write(*out, image))
	fmt.Printf("%s %s %d\n", *name, digest(manifest), len(packed))
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
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestSpeed)
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

func describe(mediaType string, data []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(data), Size: len(data)}
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

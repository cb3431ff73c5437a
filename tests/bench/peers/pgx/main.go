// SPDX-License-Identifier: MIT

// One side of the benchmarks with jackc/pgx: the arguments and the output of tests/bench/driver.h.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const query = "SELECT id, title FROM bench_items WHERE id = $1"

// What one caller does `batch` times between two readings of the clock.
type step struct {
	batch int
	run   func(item int32) error
}

func cpu() (user, system float64) {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()) / 1e9, float64(usage.Stime.Nano()) / 1e9
}

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// pgxpool as its documentation shows it: a pool of its default size, statements prepared by themselves.
func steps(pool *pgxpool.Pool) map[string]step {
	ctx := context.Background()
	return map[string]step{
		"select": {1, func(item int32) error {
			var id int32
			var title string
			return pool.QueryRow(ctx, query, item).Scan(&id, &title)
		}},
		"acquire": {64, func(int32) error {
			conn, err := pool.Acquire(ctx)
			if err == nil {
				conn.Release()
			}
			return err
		}},
	}
}

// Microseconds of an operation, for each batch that began in the measured time.
func caller(work step, items int, begin, finish time.Time) []float64 {
	samples := make([]float64, 0, 1<<16)
	for at := time.Now(); at.Before(finish); {
		for i := 0; i < work.batch; i++ {
			die(work.run(rand.Int32N(int32(items)) + 1))
		}
		end := time.Now()
		if at.After(begin) {
			samples = append(samples, float64(end.Sub(at).Nanoseconds())/float64(work.batch)/1e3)
		}
		at = end
	}
	return samples
}

func main() {
	url := flag.String("url", "", "")
	seconds := flag.Float64("seconds", 1, "")
	warmup := flag.Float64("warmup", 0.3, "")
	mode := flag.String("mode", "select", "")
	callers := flag.Int("callers", 1, "")
	items := flag.Int("items", 1000, "")
	flag.Parse()

	pool, err := pgxpool.New(context.Background(), *url)
	die(err)
	work := steps(pool)[*mode]
	die(work.run(1))
	begin := time.Now().Add(time.Duration(*warmup * float64(time.Second)))
	finish := begin.Add(time.Duration(*seconds * float64(time.Second)))
	results := make(chan []float64, *callers)
	for range make([]struct{}, *callers) {
		go func() { results <- caller(work, *items, begin, finish) }()
	}
	time.Sleep(time.Until(begin))
	fmt.Println("start")
	user, system := cpu()
	time.Sleep(time.Until(finish))
	userEnd, systemEnd := cpu()
	fmt.Println("stop")
	var all []float64
	for range make([]struct{}, *callers) {
		all = append(all, <-results...)
	}
	sort.Float64s(all)
	pool.Close()
	fmt.Printf("{\"ops\": %d, \"seconds\": %f, \"p50_us\": %f, \"p99_us\": %f, \"user_cpu\": %f, \"sys_cpu\": %f}\n",
		len(all)*work.batch, *seconds, all[len(all)/2], all[len(all)*99/100], userEnd-user, systemEnd-system)
}

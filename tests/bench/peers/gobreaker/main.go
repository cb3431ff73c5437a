// SPDX-License-Identifier: MIT

// One side of the benchmarks with sony/gobreaker: the arguments and the output of tests/bench/driver.h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"sort"
	"syscall"
	"time"

	"github.com/sony/gobreaker/v2"
)

const batch = 1024

func cpu() (user, system float64) {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()) / 1e9, float64(usage.Stime.Nano()) / 1e9
}

func main() {
	seconds := flag.Float64("seconds", 1, "")
	warmup := flag.Float64("warmup", 0.3, "")
	mode := flag.String("mode", "record", "")
	callers := flag.Int("callers", 1, "")
	flag.Parse()

	breaker := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Timeout: time.Minute})
	failure := errors.New("down")
	if *mode == "reject" {
		for i := 0; i < 6; i++ {
			_, _ = breaker.Execute(func() (int, error) { return 0, failure })
		}
	}
	work := func() (int, error) { return 1, nil }
	begin := time.Now().Add(time.Duration(*warmup * float64(time.Second)))
	finish := begin.Add(time.Duration(*seconds * float64(time.Second)))
	results := make(chan []float64, *callers)
	for range make([]struct{}, *callers) {
		go func() {
			samples := make([]float64, 0, 1<<16)
			for at := time.Now(); at.Before(finish); {
				for i := 0; i < batch; i++ {
					_, _ = breaker.Execute(work)
				}
				end := time.Now()
				if at.After(begin) {
					samples = append(samples, float64(end.Sub(at).Nanoseconds())/batch/1e3)
				}
				at = end
			}
			results <- samples
		}()
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
	fmt.Printf("{\"ops\": %d, \"seconds\": %f, \"p50_us\": %f, \"p99_us\": %f, \"user_cpu\": %f, \"sys_cpu\": %f}\n",
		len(all)*batch, *seconds, all[len(all)/2], all[len(all)*99/100], userEnd-user, systemEnd-system)
}

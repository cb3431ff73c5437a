// SPDX-License-Identifier: MIT

import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.HashMap;
import java.util.concurrent.TimeUnit;

/** One side of the benchmarks with Resilience4j: the arguments and the output of tests/bench/driver.h. */
public class Bench {
    static final int BATCH = 1024;
    static final int SAMPLES = 1 << 18;

    static double cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }

    static void record(CircuitBreaker breaker) {
        breaker.acquirePermission();
        breaker.onSuccess(1, TimeUnit.NANOSECONDS);
    }

    static void reject(CircuitBreaker breaker) {
        if (breaker.tryAcquirePermission())
            throw new IllegalStateException("the breaker is closed");
    }

    /** Nanoseconds an operation, of each batch of the measured time. */
    static double[] call(CircuitBreaker breaker, boolean rejects, long begin, long finish) {
        double[] samples = new double[SAMPLES];
        int count = 0;
        for (long at = System.nanoTime(); at < finish;) {
            for (int i = 0; i < BATCH; i++) {
                if (rejects)
                    reject(breaker);
                else
                    record(breaker);
            }
            long end = System.nanoTime();
            if (at > begin && count < SAMPLES)
                samples[count++] = (double) (end - at) / BATCH;
            at = end;
        }
        return Arrays.copyOf(samples, count);
    }

    public static void main(String[] words) throws Exception {
        Map<String, String> options = new HashMap<>(Map.of("--seconds", "1", "--warmup", "1", "--mode", "record",
            "--callers", "1"));
        for (int i = 0; i + 1 < words.length; i += 2)
            options.put(words[i], words[i + 1]);
        boolean rejects = options.get("--mode").equals("reject");
        CircuitBreaker breaker = CircuitBreaker.of("bench", CircuitBreakerConfig.ofDefaults());
        if (rejects)
            breaker.transitionToOpenState();
        long begin = System.nanoTime() + (long) (Double.parseDouble(options.get("--warmup")) * 1e9);
        long finish = begin + (long) (Double.parseDouble(options.get("--seconds")) * 1e9);
        List<double[]> results = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(options.get("--callers")); i++) {
            Thread thread = new Thread(() -> {
                double[] samples = call(breaker, rejects, begin, finish);
                synchronized (results) {
                    results.add(samples);
                }
            });
            threads.add(thread);
            thread.start();
        }
        Thread.sleep(Math.max(0, (begin - System.nanoTime()) / 1000000));
        System.out.println("start");
        double used = cpu();
        for (Thread thread : threads)
            thread.join();
        used = cpu() - used;
        System.out.println("stop");
        double[] all = results.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
        System.out.printf(java.util.Locale.ROOT, "{\"ops\": %d, \"seconds\": %s, \"p50_us\": %f, \"p99_us\": %f, "
            + "\"user_cpu\": %f, \"sys_cpu\": 0}%n", (long) all.length * BATCH, options.get("--seconds"),
            all[all.length / 2] / 1e3, all[all.length * 99 / 100] / 1e3, used);
    }
}

using System.Collections.Concurrent;
using System.Diagnostics;

namespace Tributary.Postgres.Programs;

/// <summary>
/// Starts programs as children of this process.
/// Every fork happens on one thread that lives as long as the process: the kernel's parent-death signal fires when the *thread* that
/// forked ends (prctl(2), PR_SET_PDEATHSIG), and a pool thread that retires would take a running database with it.
/// </summary>
public static class ChildProcesses
{
    /// <summary>Output of one finished program that is kept, in characters; what is beyond is cut, so that a talkative program cannot fill memory.</summary>
    const int OutputCharsMax = 16 * 1024 * 1024;

    /// <summary>
    /// The shell that sends output to a file, enters control groups (a written 0 stands for the writer, cgroups(7)) and becomes the program.
    /// The groups come before the program, so that there is no moment and no child outside of them.
    /// </summary>
    const string Wrapper = """exec >>"$1" 2>&1 </dev/null; shift; while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@" """;

    const string InputWrapper = """exec <"$1" || exit 1; shift; exec "$@" """;

    static readonly BlockingCollection<Action> Forks = new(boundedCapacity: 1024); // A fork takes about a millisecond; 1,024 waiting ones are a second of work.

    static ChildProcesses()
    {
        var thread = new Thread(static () =>
        {
            foreach (var fork in Forks.GetConsumingEnumerable())
                fork();
        })
        { IsBackground = true, Name = "child-processes" };
        thread.Start();
    }

    /// <summary>Runs a program to its end. Cancellation kills it and its children.</summary>
    /// <exception cref="ChildProcessException">The program could not be started.</exception>
    public static async Task<ChildProcessResult> RunAsync(ChildProcessSpec spec, CancellationToken cancellationToken)
    {
        using var process = await StartAsync(spec, redirect: true, cancellationToken);
        try
        {
            var output = ReadAsync(process.StandardOutput, onText: null, cancellationToken);
            var error = ReadAsync(process.StandardError, spec.OnErrorText, cancellationToken);
            await process.StandardInput.WriteAsync(spec.StandardInput.AsMemory(), cancellationToken);
            process.StandardInput.Close();
            await process.WaitForExitAsync(cancellationToken);
            return new ChildProcessResult(process.ExitCode, await output, await error);
        }
        catch (IOException) when (process.HasExited)
        {
            // The program ended without reading its input; its exit code says why.
            return new ChildProcessResult(process.ExitCode, "", await process.StandardError.ReadToEndAsync(cancellationToken));
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>Starts a long-running program; the caller owns, waits for and disposes the process.</summary>
    /// <exception cref="ChildProcessException">The program could not be started.</exception>
    public static Task<Process> StartAsync(ChildProcessSpec spec, CancellationToken cancellationToken) => StartAsync(spec, redirect: false, cancellationToken);

    static async Task<Process> StartAsync(ChildProcessSpec spec, bool redirect, CancellationToken cancellationToken)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Forks.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(StartInfo(spec, redirect))!);
            }
            catch (Exception exception) when (exception is System.ComponentModel.Win32Exception or InvalidOperationException or IOException)
            {
                started.SetException(new ChildProcessException($"Cannot start {spec.Program}: {exception.Message}"));
            }
        }, cancellationToken);
        return await started.Task;
    }

    static ProcessStartInfo StartInfo(ChildProcessSpec spec, bool redirect)
    {
        var command = new List<string>();
        if (spec.LogFile is { } log)
            command.AddRange(["/bin/sh", "-c", Wrapper, "sh", log, .. spec.ControlGroupFiles, "--"]);
        if (spec.InputFile is { } input)
            command.AddRange(["/bin/sh", "-c", InputWrapper, "sh", input]);
        var dropUser = spec.AsPostgresUser && Environment.IsPrivilegedProcess;
        if (dropUser || spec.ParentDeathSignal is not null)
        {
            command.Add("setpriv");
            if (dropUser)
                command.AddRange(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            if (spec.ParentDeathSignal is { } signal)
                command.AddRange(["--pdeathsig", signal]);
            command.Add("--");
        }

        command.Add(spec.Program);
        command.AddRange(spec.Arguments);
        var info = new ProcessStartInfo(command[0])
        {
            RedirectStandardInput = redirect,
            RedirectStandardOutput = redirect,
            RedirectStandardError = redirect,
            WorkingDirectory = "/",
        };
        foreach (var argument in command.Skip(1))
            info.ArgumentList.Add(argument);
        foreach (var (name, value) in spec.Environment)
            info.Environment[name] = value;
        // The server's messages are parsed and shown; they must not depend on the caller's language.
        info.Environment["LC_ALL"] = "C.UTF-8";
        return info;
    }

    static async Task<string> ReadAsync(StreamReader reader, Action<string>? onText, CancellationToken cancellationToken)
    {
        var text = new System.Text.StringBuilder();
        var buffer = new char[8192];
        int read;
        while ((read = await reader.ReadAsync(buffer, cancellationToken)) > 0)
        {
            onText?.Invoke(new string(buffer, 0, read));
            if (text.Length < OutputCharsMax)
                text.Append(buffer, 0, read);
        }

        return text.ToString();
    }
}

using System.CommandLine;
using System.Text.Json;
using Tributary.Contracts;
using Tributary.Server;
using Tributary.Server.Configuration;

namespace Tributary.Cli;

/// <summary>The one place where a failure becomes words on standard error and an exit code.</summary>
static class Failures
{
    public static int Report(ParseResult parse, ProblemResponse problem)
    {
        if (SharedOptions.IsJson(parse))
            parse.InvocationConfiguration.Error.WriteLine(JsonSerializer.Serialize(problem, ContractsJson.Indented.ProblemResponse));
        else
            Write(parse, problem.Detail, problem.Hint);
        return problem.Code switch
        {
            ProblemCodes.ServerUnreachable => ExitCodes.ServerUnreachable,
            ProblemCodes.BranchNotFound or ProblemCodes.NotFound => ExitCodes.NotFound,
            ProblemCodes.InvalidName or ProblemCodes.InvalidRequest => ExitCodes.Usage,
            ProblemCodes.BranchExists => ExitCodes.AlreadyExists,
            ProblemCodes.BranchingNotReady => ExitCodes.NotReady,
            ProblemCodes.PoolFull => ExitCodes.NoSpace,
            _ => ExitCodes.Failed,
        };
    }

    public static int Report(ParseResult parse, OperationFailure failure)
    {
        Write(parse, failure.Message, failure.Hint);
        return CodeOf(failure.Kind);
    }

    public static int Report(ParseResult parse, IReadOnlyList<ConfigurationError> errors)
    {
        var output = parse.InvocationConfiguration.Error;
        foreach (var error in errors)
            output.WriteLine($"error: {error}");
        output.WriteLine(errors.Count == 1 ? "hint: 1 error in the configuration; nothing was started" : $"hint: {errors.Count} errors in the configuration; nothing was started");
        return ExitCodes.Usage;
    }

    public static int Usage(ParseResult parse, string message, string? hint = null)
    {
        Write(parse, message, hint);
        return ExitCodes.Usage;
    }

    public static void Write(ParseResult parse, string message, string? hint)
    {
        var output = parse.InvocationConfiguration.Error;
        output.WriteLine($"error: {message}");
        foreach (var line in (hint ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries))
            output.WriteLine($"hint: {line}");
    }

    static int CodeOf(FailureKind kind) => kind switch
    {
        FailureKind.AlreadyRunning => ExitCodes.AlreadyRunning,
        FailureKind.SourceUnsuitable => ExitCodes.SourceUnsuitable,
        FailureKind.TargetUnsuitable => ExitCodes.TargetUnsuitable,
        FailureKind.PortTaken => ExitCodes.PortTaken,
        FailureKind.NoSpace => ExitCodes.NoSpace,
        FailureKind.MachineUnsuitable => ExitCodes.MachineUnsuitable,
        FailureKind.BadCertificate or FailureKind.Configuration => ExitCodes.Usage,
        _ => ExitCodes.Failed,
    };
}

using System.CommandLine;
using System.CommandLine.Invocation;
using Tributary.Cli;

// Nothing is built before the command line is parsed: --version and completion answer within milliseconds.
var parse = CommandLineRoot.Build().Parse(args);
try
{
    if (parse.Action is ParseErrorAction)
        return Failures.ReportUsage(parse);
    return await parse.InvokeAsync(new InvocationConfiguration
    {
        EnableDefaultExceptionHandler = false,
        ProcessTerminationTimeout = CommandLineRoot.StopLimit,
    });
}
catch (OperationCanceledException)
{
    return ExitCodes.Cancelled;
}
catch (Exception exception)
{
    Failures.Write(parse, $"this is a fault of tributary: {exception.Message}", "run it again with TRIBUTARY_DEBUG=1 and report what it prints");
    if (Environment.GetEnvironmentVariable("TRIBUTARY_DEBUG") is { Length: > 0 })
        Console.Error.WriteLine(exception);
    return ExitCodes.Failed;
}

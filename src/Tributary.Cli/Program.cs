using System.CommandLine;
using System.CommandLine.Invocation;
using Tributary.Cli;

// Nothing is built before the command line is parsed: --version and completion answer within milliseconds.
var parse = CommandLineRoot.Build().Parse(args);
try
{
    var code = await parse.InvokeAsync(new InvocationConfiguration
    {
        EnableDefaultExceptionHandler = false,
        ProcessTerminationTimeout = CommandLineRoot.StopLimit,
    });
    return parse.Action is ParseErrorAction ? ExitCodes.Usage : code;
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

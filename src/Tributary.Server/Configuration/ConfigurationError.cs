namespace Tributary.Server.Configuration;

/// <summary>One thing that is wrong with the configuration.</summary>
/// <param name="Where">File, line and column (<c>tributary.yaml:12:3</c>), or the environment variable or flag that holds the value.</param>
/// <param name="KeyPath">For example <c>branching.pool-size</c> or <c>streams[0].target</c>; empty for the file as a whole.</param>
/// <param name="Message">What is wrong and what is expected. Never a secret: values are shown as they are written, before expansion.</param>
public sealed record ConfigurationError(string Where, string KeyPath, string Message)
{
    public override string ToString() => KeyPath.Length == 0 ? $"{Where}: {Message}" : $"{Where}: {KeyPath}: {Message}";
}

/// <summary>A configuration, or everything that is wrong with it, in the order of the file.</summary>
public sealed record ConfigurationResult(TributaryConfiguration? Configuration, IReadOnlyList<ConfigurationError> Errors);

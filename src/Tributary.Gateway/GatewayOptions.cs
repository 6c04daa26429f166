namespace Tributary.Gateway;

/// <summary>Where the gateway listens and what it allows. Every limit holds before a client has proved anything.</summary>
public sealed record GatewayOptions
{
    /// <summary>An IP address. Default: this machine only.</summary>
    public string ListenAddress { get; init; } = "127.0.0.1";

    /// <summary>0 takes any free port. Default: 6432, so that a Postgres on 5432 is left alone.</summary>
    public int Port { get; init; } = 6432;

    /// <summary>A PEM file with the certificate, its issuers after it. Without one, TLS is refused and clients that require it fail.</summary>
    public string? TlsCertificateFile { get; init; }

    /// <summary>A PEM file with the private key of the certificate, not encrypted.</summary>
    public string? TlsKeyFile { get; init; }

    /// <summary>
    /// With <c>branches.example.com</c>, a TLS client that names the host <c>NAME.branches.example.com</c> reaches branch NAME.
    /// Default: host names name no branch.
    /// </summary>
    public string? HostSuffix { get; init; }

    /// <summary>From accept to the proof of the password, TLS included. Default: 60 s, as authentication_timeout of Postgres.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a connection beyond the limit may say nothing. Default: 5 s; there are few places for those, which a cancel request must get through.
    /// </summary>
    public TimeSpan OverLimitTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a client is held while its branch wakes and its Postgres opens the session. Default: 60 s.</summary>
    public TimeSpan WakeTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long the sessions that run may go on after the listener is told to stop. Default: 10 s.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Client connections at once; one more is told so. Default: 1,000, since each costs two relay buffers (64 KiB) and two file descriptors,
    /// in all 64 MiB.
    /// </summary>
    public int ConnectionsMax { get; init; } = 1000;

    /// <summary>Connections that wait in the kernel to be accepted. Default: 512, above the burst of fifty agents with ten connections each.</summary>
    public int Backlog { get; init; } = 512;

    /// <summary>
    /// Branches whose derived SCRAM keys are kept, so that a new connection need not derive them for about a millisecond. Default: 1,024 (under 1 MiB).
    /// </summary>
    public int CachedKeysMax { get; init; } = 1024;

    /// <summary>Bytes of each of a session's two relay buffers. Default: 32 KiB, four times the buffer that Postgres sends from.</summary>
    public int RelayBufferBytes { get; init; } = 32 * 1024;

    /// <summary>Every fault in the options at once; empty when they can be used.</summary>
    public IReadOnlyList<string> Validate()
    {
        var faults = new List<string>();
        if (!System.Net.IPAddress.TryParse(ListenAddress, out _))
            faults.Add($"the listen address '{ListenAddress}' is not an IP address: use 127.0.0.1 for this machine only, 0.0.0.0 for every network");
        if (Port is < 0 or > 65535)
            faults.Add($"the port {Port} is outside 0 to 65535");
        if (TlsCertificateFile is null != TlsKeyFile is null)
            faults.Add("a TLS certificate and its key are given together or not at all");
        foreach (var (name, value) in new[] { ("handshake", HandshakeTimeout), ("over-limit", OverLimitTimeout), ("wake", WakeTimeout), ("drain", DrainTimeout) })
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
                faults.Add($"the {name} timeout {value} is not above zero and at most a day");
        foreach (var (name, value) in new[] { ("connections", ConnectionsMax), ("backlog", Backlog), ("cached keys", CachedKeysMax), ("relay buffer", RelayBufferBytes) })
            if (value < 1)
                faults.Add($"the limit of {name} must be at least 1; it is {value}");
        return faults;
    }
}

using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Tributary.Postgres.Wire;

namespace Tributary.Postgres;

/// <summary>
/// A session of our own over the wire protocol, for what a driver does not offer: the commands of replication, and reading without a copy.
/// Opening one:
/// 1. Connect, by TCP or a Unix socket.
/// 2. Encrypt as the URL's sslmode says.
/// 3. Send the startup packet and prove who we are.
/// 4. Take in the server's settings until it is ready.
/// Ordinary work belongs to Npgsql; this session knows the simple query protocol alone.
/// Source: https://www.postgresql.org/docs/current/protocol-flow.html
/// </summary>
public sealed class ServerSession : IAsyncDisposable
{
    const byte Ready = (byte)'Z';

    ServerSession(MessageChannel channel) => Channel = channel;

    /// <summary>For a command that leaves the simple query protocol, such as START_REPLICATION.</summary>
    public MessageChannel Channel { get; }

    /// <summary>Whether the session is encrypted.</summary>
    public bool IsEncrypted { get; private init; }

    /// <summary>The server's major version, for example 15.</summary>
    public int ServerMajor { get; private set; }

    /// <exception cref="ServerErrorException">The server refuses the user, the password or the database, or takes no connections now.</exception>
    /// <exception cref="SessionRefusedException">The session cannot be opened as the URL asks.</exception>
    /// <exception cref="TimeoutException">The server did not answer in time. A <see cref="SocketException"/> or an <see cref="IOException"/> says that the link failed.</exception>
    public static async Task<ServerSession> OpenAsync(PostgresUrl url, SessionParameters parameters, TimeProvider time, CancellationToken cancellationToken)
    {
        var attempts = TlsAttempts(url);
        foreach (var tls in attempts[..^1])
        {
            try
            {
                return await OpenInTimeAsync(url, tls, parameters, time, cancellationToken);
            }
            catch (Exception exception) when (exception is ServerErrorException { SqlState: "28000" } or AuthenticationException)
            {
                // pg_hba.conf may let the same user in only with, or only without, encryption; "allow" and "prefer" take either.
            }
        }

        return await OpenInTimeAsync(url, attempts[^1], parameters, time, cancellationToken);
    }

    /// <summary>Runs a command by the simple query protocol and answers its rows as text.</summary>
    /// <exception cref="ServerErrorException">The server refuses the command; the session stays usable unless the error is fatal.</exception>
    public async Task<IReadOnlyList<string?[]>> QueryAsync(string sql, CancellationToken cancellationToken)
    {
        await Channel.WriteAsync(new FrameWriter().Begin((byte)'Q').AddText(sql).End().Written, cancellationToken);
        var rows = new List<string?[]>();
        ServerErrorException? error = null;
        while (true)
        {
            var frame = await Channel.ReadAsync(cancellationToken);
            switch (frame.Type)
            {
                case (byte)'D':
                    rows.Add(TextRow.Parse(frame.Body.Span) ?? throw new IOException("The server sent a row that ends early."));
                    break;
                case ErrorResponse.Type:
                    error = ErrorOf(frame.Body.Span);
                    if (error.Error.Severity is "FATAL" or "PANIC")
                        throw error;
                    break;
                case Ready:
                    return error is null ? rows : throw error;
            }
        }
    }

    /// <summary>The error that an ErrorResponse's body holds.</summary>
    public static ServerErrorException ErrorOf(ReadOnlySpan<byte> body) =>
        new(ErrorResponse.TryParse(body) ?? throw new IOException("The server sent an error that ends early."));

    public ValueTask DisposeAsync() => Channel.DisposeAsync();

    // Which of "with TLS" and "without" to try, in order: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
    static bool[] TlsAttempts(PostgresUrl url) => url switch
    {
        { Host: ['/', ..] } or { SslMode: "disable" } => [false],
        { SslMode: "allow" } => [false, true],
        { SslMode: "prefer" } => [true, false],
        _ => [true],
    };

    static async Task<ServerSession> OpenInTimeAsync(PostgresUrl url, bool tls, SessionParameters parameters, TimeProvider time, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(parameters.OpenTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            return await OpenOnceAsync(url, tls, parameters, either.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The server {url} did not open a session within {parameters.OpenTimeout.TotalSeconds:0.#} s.");
        }
        catch (AuthenticationException exception) when (url.SslMode.StartsWith("verify", StringComparison.Ordinal))
        {
            throw new SessionRefusedException(
                $"The certificate of the server {url} does not pass sslmode={url.SslMode}. Name its authority by sslrootcert in the URL, or in ~/.postgresql/root.crt" +
                $"{(url.SslMode == "verify-full" ? ", and the host as the certificate names it" : "")}.", exception);
        }
    }

    static async Task<ServerSession> OpenOnceAsync(PostgresUrl url, bool tls, SessionParameters parameters, CancellationToken cancellationToken)
    {
        // Step 1.
        var socket = await ServerSocket.ConnectAsync(url, parameters.UnacknowledgedMax, cancellationToken);
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            // Step 2: a server without TLS is left in clear only where the mode allows that.
            var encrypted = tls ? await TlsUpgrade.TryAsync((NetworkStream)stream, url, cancellationToken) : null;
            if (tls && encrypted is null && url.SslMode is not ("allow" or "prefer"))
                throw new SessionRefusedException($"The server {url} has no TLS, and the URL asks for it by sslmode={url.SslMode}. Switch ssl on at the server.");
            stream = encrypted ?? stream;

            // Steps 3 and 4.
            var session = new ServerSession(new MessageChannel(stream, encrypted is null ? socket : null, parameters.MessageBytesMax)) { IsEncrypted = encrypted is not null };
            await session.EnterAsync(url, encrypted, parameters, cancellationToken);
            return session;
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    async Task EnterAsync(PostgresUrl url, SslStream? encrypted, SessionParameters parameters, CancellationToken cancellationToken)
    {
        var startup = new Dictionary<string, string>
        {
            ["user"] = url.User,
            ["database"] = url.Database,
            ["application_name"] = parameters.ApplicationName,
            ["client_encoding"] = "UTF8",
            ["options"] = parameters.ServerOptions,
        };
        if (parameters.Replication)
            startup["replication"] = parameters.Physical ? "true" : "database";
        await Channel.WriteAsync(StartupPacket.BuildStartup(startup), cancellationToken);
        var authentication = new SessionAuthentication(Channel, url, encrypted is null ? null : TlsUpgrade.EndPointBinding(encrypted));
        var isIn = false;
        while (true)
        {
            var frame = await Channel.ReadAsync(cancellationToken);
            switch (frame.Type)
            {
                case (byte)'R' when !isIn:
                    isIn = await authentication.AnswerAsync(frame.Body, cancellationToken);
                    break;
                case ErrorResponse.Type:
                    throw ErrorOf(frame.Body.Span);
                case (byte)'S':
                    TakeSetting(frame.Body.Span);
                    break;
                case Ready when isIn:
                    return;
                case (byte)'K' or (byte)'N':
                    break;
                default:
                    throw new IOException($"The server sent a message of kind 0x{frame.Type:X2} where a session opens; it may not be a Postgres server.");
            }
        }
    }

    void TakeSetting(ReadOnlySpan<byte> body)
    {
        var name = "server_version\0"u8;
        if (!body.StartsWith(name))
            return;

        // "15.6 (Debian 15.6-0)", "18beta1".
        var major = 0;
        foreach (var digit in body[name.Length..])
        {
            if (!char.IsAsciiDigit((char)digit))
                break;
            major = major * 10 + (digit - '0');
        }

        ServerMajor = major;
    }
}

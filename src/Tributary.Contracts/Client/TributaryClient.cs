using System.Globalization;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tributary.Contracts.Costs;

namespace Tributary.Contracts.Client;

/// <summary>
/// Speaks to a running server over its Unix socket. Refusals, and a server that is not there, are values; an exception is a bug or the
/// caller's cancellation. Safe for use from several threads; the owner disposes it.
/// </summary>
public sealed class TributaryClient : IDisposable
{
    /// <summary>A question is answered from memory, or by a look at the pool; a server that is stuck does not hold the caller for ever.</summary>
    static readonly TimeSpan QuestionTimeout = TimeSpan.FromMinutes(2);

    /// <summary>Longer than the server allows the longest change, which is a branch whose recovery replays a lot (30 min): who leaves before takes it back.</summary>
    static readonly TimeSpan ChangeTimeout = TimeSpan.FromMinutes(40);

    readonly string _socketPath;
    readonly HttpClient _http;

    public TributaryClient(string socketPath)
    {
        _socketPath = socketPath;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        _http = new HttpClient(handler) { BaseAddress = new Uri("http://tributary/"), Timeout = ChangeTimeout };
    }

    public Task<ApiResult<StatusResponse>> GetStatusAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/status", ContractsJson.Default.StatusResponse, cancellationToken);

    public Task<ApiResult<StreamListResponse>> ListStreamsAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/streams", ContractsJson.Default.StreamListResponse, cancellationToken);

    public Task<ApiResult<DoctorResponse>> GetDoctorAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/doctor", ContractsJson.Default.DoctorResponse, cancellationToken);

    public Task<ApiResult<BranchListResponse>> ListBranchesAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/branches", ContractsJson.Default.BranchListResponse, cancellationToken);

    /// <summary>Those that can be restored.</summary>
    public Task<ApiResult<BranchListResponse>> ListDeletedBranchesAsync(CancellationToken cancellationToken) =>
        GetAsync("v1/branches?deleted=true", ContractsJson.Default.BranchListResponse, cancellationToken);

    public Task<ApiResult<BranchResponse>> GetBranchAsync(string name, CancellationToken cancellationToken) =>
        GetAsync($"v1/branches/{Uri.EscapeDataString(name)}", ContractsJson.Default.BranchResponse, cancellationToken);

    public Task<ApiResult<BranchResponse>> CreateBranchAsync(BranchCreateRequest request, CancellationToken cancellationToken) =>
        PostAsync("v1/branches", request, ContractsJson.Default.BranchCreateRequest, ContractsJson.Default.BranchResponse, cancellationToken);

    public Task<ApiResult<BranchResponse>> UpdateBranchAsync(string name, BranchUpdateRequest request, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Patch, $"v1/branches/{Uri.EscapeDataString(name)}", JsonContent.Create(request, ContractsJson.Default.BranchUpdateRequest),
        ContractsJson.Default.BranchResponse, cancellationToken);

    public Task<ApiResult<BranchResponse>> ResetBranchAsync(string name, BranchResetTarget target, CancellationToken cancellationToken) => PostAsync(
        $"v1/branches/{Uri.EscapeDataString(name)}/reset", new BranchResetRequest(target), ContractsJson.Default.BranchResetRequest,
        ContractsJson.Default.BranchResponse, cancellationToken);

    /// <param name="newName">Null for the name that it had.</param>
    public Task<ApiResult<BranchResponse>> RestoreBranchAsync(string name, string? newName, CancellationToken cancellationToken) => PostAsync(
        $"v1/branches/{Uri.EscapeDataString(name)}/restore", new BranchRestoreRequest(newName), ContractsJson.Default.BranchRestoreRequest,
        ContractsJson.Default.BranchResponse, cancellationToken);

    /// <summary>Answers the branch as it was.</summary>
    /// <param name="purge">It cannot be restored.</param>
    public Task<ApiResult<BranchResponse>> DeleteBranchAsync(string name, bool purge, CancellationToken cancellationToken) => SendAsync(
        HttpMethod.Delete, $"v1/branches/{Uri.EscapeDataString(name)}{(purge ? "?purge=true" : "")}", null, ContractsJson.Default.BranchResponse, cancellationToken);

    /// <summary>The log of a branch's Postgres as UTF-8 text; the caller disposes the stream.</summary>
    /// <param name="lines">How many of the last lines.</param>
    /// <param name="follow">The stream goes on until the branch is deleted.</param>
    public async Task<ApiResult<Stream>> OpenBranchLogAsync(string name, int lines, bool follow, CancellationToken cancellationToken)
    {
        var path = string.Create(CultureInfo.InvariantCulture, $"v1/branches/{Uri.EscapeDataString(name)}/logs?lines={lines}&follow={(follow ? "true" : "false")}");
        try
        {
            var response = await _http.GetAsync(path, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (response.IsSuccessStatusCode)
                return new ApiResult<Stream>(await response.Content.ReadAsStreamAsync(cancellationToken), null);
            using (response)
                return new ApiResult<Stream>(null, await response.Content.ReadFromJsonAsync(ContractsJson.Default.ProblemResponse, cancellationToken) ?? NotTributary((int)response.StatusCode));
        }
        catch (JsonException)
        {
            return new ApiResult<Stream>(null, NotTributary(0));
        }
        catch (HttpRequestException exception)
        {
            return new ApiResult<Stream>(null, Unreachable(exception));
        }
    }

    /// <summary>Restores a dump into a main that follows nothing, and answers what it has become. A caller that leaves takes the import back.</summary>
    /// <param name="onProgress">Called with each line on the way.</param>
    public async Task<ApiResult<BranchImportResponse>> ImportAsync(BranchImportRequest request, Action<BranchImportResponse> onProgress, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "v1/import") { Content = JsonContent.Create(request, ContractsJson.Default.BranchImportRequest) };
        try
        {
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
                return new ApiResult<BranchImportResponse>(null, await response.Content.ReadFromJsonAsync(ContractsJson.Default.ProblemResponse, cancellationToken) ?? NotTributary((int)response.StatusCode));
            using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
            while (await lines.ReadLineAsync(cancellationToken) is { } line)
            {
                var step = JsonSerializer.Deserialize(line, ContractsJson.Default.BranchImportResponse)!;
                if (step.Problem is { } problem)
                    return new ApiResult<BranchImportResponse>(null, problem);
                if (step.Phase == "done")
                    return new ApiResult<BranchImportResponse>(step, null);
                onProgress(step);
            }

            return new ApiResult<BranchImportResponse>(null, Ended);
        }
        catch (JsonException)
        {
            return new ApiResult<BranchImportResponse>(null, NotTributary(0));
        }
        catch (HttpRequestException exception)
        {
            return new ApiResult<BranchImportResponse>(null, Unreachable(exception));
        }
        catch (IOException)
        {
            return new ApiResult<BranchImportResponse>(null, Ended);
        }
    }

    /// <summary>Lets the server stop as Ctrl-C does; it answers when it has begun to.</summary>
    public Task<ApiResult<StopResponse>> StopAsync(CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, "v1/stop", null, ContractsJson.Default.StopResponse, cancellationToken);

    public Task<ApiResult<CostResponse>> ComputeCostAsync(CostRequest request, CancellationToken cancellationToken) =>
        PostAsync("v1/cost", request, ContractsJson.Default.CostRequest, ContractsJson.Default.CostResponse, cancellationToken);

    public void Dispose() => _http.Dispose();

    Task<ApiResult<T>> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class => SendAsync(HttpMethod.Get, path, null, type, cancellationToken);

    Task<ApiResult<T>> PostAsync<TBody, T>(string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class => SendAsync(HttpMethod.Post, path, JsonContent.Create(body, bodyType), type, cancellationToken);

    async Task<ApiResult<T>> SendAsync<T>(HttpMethod method, string path, HttpContent? body, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        using var request = new HttpRequestMessage(method, path) { Content = body };
        var limit = method == HttpMethod.Get ? QuestionTimeout : ChangeTimeout;
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(limit);
        try
        {
            using var response = await _http.SendAsync(request, limited.Token);
            if (response.IsSuccessStatusCode && await response.Content.ReadFromJsonAsync(type, limited.Token) is { } value)
                return new ApiResult<T>(value, null);
            var problem = await response.Content.ReadFromJsonAsync(ContractsJson.Default.ProblemResponse, limited.Token);
            return new ApiResult<T>(null, problem ?? NotTributary((int)response.StatusCode));
        }
        catch (JsonException)
        {
            return new ApiResult<T>(null, NotTributary(0));
        }
        catch (HttpRequestException exception)
        {
            return new ApiResult<T>(null, Unreachable(exception));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new ApiResult<T>(null, new ProblemResponse(
                "No answer", 0, $"the server behind {_socketPath} did not answer within {limit.TotalMinutes:0} minutes", ProblemCodes.ServerUnreachable,
                "look at the server's log; 'tributary status' says what it does"));
        }
    }

    ProblemResponse Ended => new(
        "The server ended", 0, $"the server behind {_socketPath} ended during the import, which is taken back then", ProblemCodes.ServerUnreachable, "start it again, and import again");

    ProblemResponse NotTributary(int status) => new(
        "Unexpected answer", status, $"what listens on {_socketPath} does not answer as this version of tributary does", ProblemCodes.ServerUnreachable,
        "use the same version of tributary for the server and the command line");

    ProblemResponse Unreachable(HttpRequestException exception)
    {
        var socketError = (exception.InnerException as SocketException)?.SocketErrorCode;
        var (why, hint) = socketError switch
        {
            SocketError.AccessDenied => ("this user may not open its socket", "run the command as the user that runs the server (often root: sudo tributary …)"),
            SocketError.ConnectionRefused => ("a server ended there without removing its socket", Start),
            _ when !File.Exists(_socketPath) => ("there is no such socket", Start),
            _ => (exception.InnerException?.Message ?? exception.Message, Start),
        };
        return new ProblemResponse("No server", 0, $"no tributary server answers on {_socketPath}: {why}", ProblemCodes.ServerUnreachable, hint);
    }

    const string Start =
        "start one with 'tributary up -c tributary.yaml', or name the socket of a running one with --socket, TRIBUTARY_SOCKET or -c tributary.yaml";
}
